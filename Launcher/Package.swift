// swift-tools-version:6.2
import PackageDescription

/// The launcher is Embedded Swift: no runtime, no reflection, nothing that starts threads.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableExperimentalFeature("Embedded"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .unsafeFlags(["-wmo"]),
]

let package = Package(
    name: "kiln-launcher",
    targets: [
        .target(name: "CLinux"),
        .target(name: "LaunchModel", swiftSettings: settings),
        .target(
            name: "LauncherCore", dependencies: ["CLinux", "LaunchModel"], swiftSettings: settings),
        .executableTarget(
            name: "kiln-launcher", dependencies: ["LauncherCore"], swiftSettings: settings),
    ]
)
