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

let package = Package(
    name: "kiln",
    products: [.executable(name: "kiln", targets: ["kiln"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        // Pure: no I/O, no Foundation.
        module("Hashing", [.product(name: "Crypto", package: "swift-crypto")]),
        module("LaunchModel"),
        module("StoreModel", ["Hashing", "LaunchModel"]),
        module("DerivationFormat", ["Hashing", "LaunchModel", "StoreModel"]),
        module("ArchiveFormat"),
        module(
            "Goals", ["StoreModel", .product(name: "DequeModule", package: "swift-collections")]),
        module("SandboxPlanning", ["DerivationFormat", "Hashing", "LaunchModel", "StoreModel"]),
        module("DaemonWire", ["DerivationFormat", "Hashing", "StoreModel"]),
        module("Diagnostics"),
        // The host.
        module("SystemCalls", ["CLinux"]),
        module("StoreFiles", ["ArchiveFormat", "StoreModel", "SystemCalls"]),
        module(
            "Policy", ["Diagnostics", "LaunchModel", .product(name: "TOMLKit", package: "TOMLKit")]),
        .target(name: "CLinux"),
        .systemLibrary(
            name: "CSeccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),
        .systemLibrary(name: "CBZip2", providers: [.apt(["libbz2-dev"])]),
        module(
            "PolicyCompiler", ["CSeccomp", "Hashing", "LaunchModel", "Policy", "SystemCalls"]),
        module(
            "StoreDatabase",
            ["Hashing", "StoreModel", .product(name: "GRDB", package: "GRDB.swift")]),
        module(
            "LocalStore",
            [
                "ArchiveFormat", "CLinux", "DerivationFormat", "Hashing", "StoreDatabase",
                "StoreFiles", "StoreModel", "SystemCalls",
            ]),
        module(
            "Recipes",
            [
                "DerivationFormat", "Diagnostics", "Hashing", "StoreFiles", "StoreModel",
                "SystemCalls", .product(name: "TOMLKit", package: "TOMLKit"),
            ]),
        module(
            "BuildEngine",
            [
                "ArchiveFormat", "CBZip2", "DerivationFormat", "Goals", "Hashing", "LaunchModel",
                "LocalStore", "Policy", "SandboxPlanning", "StoreFiles", "StoreModel",
                "SystemCalls", .product(name: "DequeModule", package: "swift-collections"),
            ]),
        module(
            "Daemon",
            [
                "ArchiveFormat", "BuildEngine", "DaemonWire", "DerivationFormat", "Goals",
                "Hashing",
                "LocalStore", "StoreFiles", "StoreModel", "SystemCalls",
            ]),
        module(
            "HostSetup",
            [
                "CLinux", "LaunchModel", "LocalStore", "Policy", "PolicyCompiler", "StoreModel",
                "SystemCalls",
            ]),
        // The launcher's sources as ordinary Swift, for tests and coverage; `Launcher/` builds the
        // binary.
        module("LauncherCore", ["CLinux", "LaunchModel"]),
        // The command.
        .executableTarget(
            name: "kiln",
            dependencies: [
                "ArchiveFormat", "BuildEngine", "Daemon", "DaemonWire", "DerivationFormat",
                "CBZip2", "Goals", "Hashing", "HostSetup", "LaunchModel", "LocalStore", "Policy",
                "PolicyCompiler",
                "Recipes", "SandboxPlanning", "StoreFiles", "StoreModel", "SystemCalls",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: settings),
        // Tests mirror the sources.
        tests("Hashing"),
        tests("LaunchModel"),
        tests("HostSetup", ["LaunchModel", "LocalStore"]),
        tests("LauncherCore", ["LaunchModel"]),
        tests("StoreModel", ["Hashing"]),
        tests("DerivationFormat", ["Hashing", "StoreModel"]),
        tests("ArchiveFormat", ["Hashing"]),
        tests("Goals", ["StoreModel"]),
        tests("DaemonWire", ["Hashing", "StoreModel"]),
        tests("SystemCalls"),
        tests("Policy", ["LaunchModel"]),
        tests("StoreFiles", ["ArchiveFormat", "StoreModel", "SystemCalls"]),
        // Processes with a build user's id that no sandbox holds.
        .executableTarget(name: "stranger", path: "Tests/Stranger"),
        .executableTarget(name: "fault-injector", path: "Tests/FaultInjector"),
        .testTarget(
            name: "LauncherTests",
            dependencies: [
                "CLinux", "LaunchModel", "Policy", "PolicyCompiler", "fault-injector", "stranger",
            ], swiftSettings: settings),
        .executableTarget(name: "filter-runner", path: "Tests/FilterRunner"),
        tests(
            "PolicyCompiler",
            ["CSeccomp", "Hashing", "LaunchModel", "LauncherCore", "Policy", "filter-runner"]),
        tests(
            "StoreDatabase",
            ["Hashing", "StoreModel", .product(name: "GRDB", package: "GRDB.swift")]),
        tests(
            "LocalStore",
            [
                "ArchiveFormat", "DerivationFormat", "Hashing", "StoreDatabase", "StoreFiles",
                "StoreModel", "SystemCalls",
            ]),
        // What the store's tests kill in the middle of its work.
        .executableTarget(
            name: "store-crasher",
            dependencies: ["Hashing", "LocalStore", "StoreModel"],
            path: "Tests/StoreCrasher", swiftSettings: settings),
        // What `make bench-launch` runs.
        .executableTarget(
            name: "launch-bench", dependencies: ["CLinux", "LaunchModel"],
            path: "Tests/LaunchBench", swiftSettings: settings),
        tests("Recipes", ["DerivationFormat", "Hashing", "StoreModel"]),
        tests(
            "BuildEngine",
            [
                "ArchiveFormat", "DerivationFormat", "Goals", "Hashing", "LaunchModel",
                "LocalStore", "Policy",
                "SandboxPlanning", "StoreFiles", "StoreModel", "SystemCalls",
            ]),
        tests(
            "Daemon",
            [
                "BuildEngine", "DaemonWire", "DerivationFormat", "Goals", "Hashing", "LaunchModel",
                "LocalStore", "SandboxPlanning", "StoreFiles", "StoreModel", "SystemCalls",
            ]),
        tests(
            "kiln",
            [
                "BuildEngine", "DaemonWire", "DerivationFormat", "Hashing", "Policy", "StoreFiles",
                "StoreModel", "SystemCalls",
            ]),
        tests("SandboxPlanning", ["DerivationFormat", "Hashing", "LaunchModel", "StoreModel"]),
    ]
)
