import LauncherCore

// Descriptor 3 is the conversation with the engine, 4 the sealed configuration, 5 the socket on which root
// reaches the launcher, if there is one; there are no arguments.
runLauncher(conversation: 3, configuration: 4, control: 5)
