import LauncherCore

// Descriptor 3 is the conversation with the engine, 4 the sealed configuration; there are no arguments.
runLauncher(conversation: 3, configuration: 4)
