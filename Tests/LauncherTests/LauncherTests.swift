import Testing

/// Everything that runs the real launcher: one test at a time, because build users are the host's.
@Suite(.serialized) enum LauncherTests {}
