/// The kind of machine that this program was built for, as derivations name it, such as `x86_64-linux`.
public func hostSystem() -> String {
    #if arch(x86_64)
        "x86_64-linux"
    #elseif arch(arm64)
        "aarch64-linux"
    #else
        #error("this machine has no table of system calls here yet")
    #endif
}
