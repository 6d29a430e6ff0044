// swift-tools-version:6.2
import PackageDescription

/// What every Swift target is compiled with.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: [.byName(name: name)] + dependencies,
        swiftSettings: settings)
}

let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")

let package = Package(
    name: "kiln",
    products: [.executable(name: "kiln", targets: ["kiln"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
    ],
    targets: [
        // C: system calls that Swift does not show, and system libraries.
        .target(name: "CLinux"),
        .systemLibrary(
            name: "CSeccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),
        .systemLibrary(name: "CCap", pkgConfig: "libcap", providers: [.apt(["libcap-dev"])]),
        // Pure: no I/O, no Foundation.
        module("Hashing", [crypto]),
        module("LaunchModel"),
        module("StoreModel", ["Hashing", "LaunchModel"]),
        module("DerivationFormat", ["Hashing", "StoreModel"]),
        module("ArchiveFormat"),
        module("DaemonWire", ["Hashing", "StoreModel"]),
        module("Goals", ["StoreModel"]),
        module("SandboxPlanning", ["Hashing", "LaunchModel", "StoreModel", "DerivationFormat"]),
        // The host.
        module("SystemCalls", ["CLinux", "LaunchModel"]),
        module("StoreFiles", ["ArchiveFormat", "CLinux", "Hashing", "StoreModel", "SystemCalls"]),
        module(
            "StoreDatabase",
            ["Hashing", "StoreModel", .product(name: "GRDB", package: "GRDB.swift")]),
        module(
            "LocalStore",
            [
                "ArchiveFormat", "CLinux", "DerivationFormat", "Hashing", "LaunchModel",
                "StoreDatabase", "StoreFiles",
                "StoreModel", "SystemCalls",
            ]),
        module("Policy", ["LaunchModel", .product(name: "TOMLKit", package: "TOMLKit")]),
        module("PolicyCompiler", ["CCap", "CSeccomp", "LaunchModel", "Policy"]),
        module("LauncherCore", ["CLinux", "LaunchModel"]),
        module(
            "Recipes",
            [
                "DerivationFormat", "Hashing", "StoreModel",
                .product(name: "TOMLKit", package: "TOMLKit"),
            ]),
        module(
            "BuildEngine",
            [
                "ArchiveFormat", "CLinux", "DaemonWire", "DerivationFormat", "Goals", "Hashing",
                "LaunchModel",
                "LocalStore", "Policy", "SandboxPlanning", "StoreFiles", "StoreModel",
                "SystemCalls",
            ]),
        .executableTarget(
            name: "kiln",
            dependencies: [
                "ArchiveFormat", "BuildEngine", "CLinux", "DaemonWire", "DerivationFormat",
                "Hashing", "LaunchModel", "LocalStore",
                "Policy", "PolicyCompiler", "Recipes", "SandboxPlanning", "StoreFiles",
                "StoreModel",
                "SystemCalls", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: settings),
    ]
)
