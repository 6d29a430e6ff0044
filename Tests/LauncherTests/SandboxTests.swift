import Glibc
import LaunchModel
import Testing

extension LauncherTests {
    @Suite("The sandbox, by the launcher as it is shipped", .serialized) struct SandboxTests {
        static let build = BuildID(rawValue: 1)

        /// What the same script says in a sandbox of root's and in one of an ordinary user's.
        static func run(
            _ mode: TestLauncher.Mode, _ text: String, files: [LaunchRequest.BuildFile] = []
        ) throws -> String {
            let launcher = try TestLauncher(mode).ready()
            let (log, end) = try launcher.build(build, try script(text, files: files))
            #expect(end == .exited(0), "\(log)")
            return log
        }

        @Test(
            "a builder is user 1000, group 100, in /build, without groups and capabilities",
            arguments: [TestLauncher.Mode.root, .ordinaryUser])
        func identity(mode: TestLauncher.Mode) throws {
            let log = try Self.run(
                mode,
                """
                id -u; id -g; pwd; hostname; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr -d '\\t'
                for f in 1 2 3; do test -e /proc/self/fd/$((f + 2)) || echo closed; done
                """)
            #expect(
                log == """
                    1000
                    100
                    /build
                    localhost
                    CapInh:0000000000000000
                    CapPrm:0000000000000000
                    CapEff:0000000000000000
                    CapBnd:0000000000000000
                    CapAmb:0000000000000000
                    NoNewPrivs:1
                    Seccomp:2
                    closed
                    closed
                    closed

                    """)
        }

        @Test(
            "a builder signals its own processes and not its reaper, whose user it is",
            arguments: [TestLauncher.Mode.root, .ordinaryUser])
        func signals(mode: TestLauncher.Mode) throws {
            let log = try Self.run(
                mode,
                """
                kill -0 1 && echo signalled; sleep 1000 & kill $! && echo own
                """)
            #expect(log.contains("own") && !log.contains("signalled"), "\(log)")
            #expect(log.contains("Operation not permitted"), "\(log)")
        }

        @Test(
            "a builder sees nothing of the host, and writes nowhere but where it must",
            arguments: [TestLauncher.Mode.root, .ordinaryUser])
        func places(mode: TestLauncher.Mode) throws {
            let log = try Self.run(
                mode,
                """
                ls /; echo; ls /etc
                for d in / /etc /usr /bin /dev /proc/sys/kernel /nix; do
                    ( : > $d/probe ) 2>/dev/null && echo "wrote $d"
                done
                for d in /build /tmp /dev/shm /nix/store; do ( : > $d/probe ) && echo "may write $d"; done
                ( echo changed > /proc/sys/kernel/hostname ) 2>/dev/null && echo "changed a setting"
                ls -d /root /home /var /sys /run 2>/dev/null
                cat /proc/kallsyms /proc/interrupts | wc -c
                [ $(ls /proc | grep '^[0-9]' | sort -n | tail -1) -lt 100 ] && echo 'few processes'
                """)
            #expect(
                log == """
                    bin
                    build
                    dev
                    etc
                    lib
                    lib64
                    nix
                    proc
                    tmp
                    usr

                    group
                    hosts
                    passwd
                    may write /build
                    may write /tmp
                    may write /dev/shm
                    may write /nix/store
                    0
                    few processes

                    """)
        }

        @Test(
            "no namespace, mount, set-id program or other process of root's gives a right back",
            arguments: [TestLauncher.Mode.root, .ordinaryUser])
        func rights(mode: TestLauncher.Mode) throws {
            let log = try Self.run(
                mode,
                """
                exec 2>/dev/null
                for kind in U m p n i u C; do unshare -$kind true && echo "unshared $kind"; done
                mount -t tmpfs none /tmp && echo mounted
                mount -o remount,rw / && echo remounted
                umount /usr && echo unmounted
                chroot / true && echo chrooted
                setpriv --reuid 0 true && echo root
                kill -9 1; sleep 0.1; echo alive
                cat /proc/1/environ /proc/1/maps | wc -c
                ls /proc/1/fd && echo "saw descriptors"
                cat /dev/kmsg && echo kmsg
                true
                """)
            #expect(
                log == """
                    alive
                    0

                    """)
        }

        @Test(
            "the network is a loopback interface of its own, up",
            arguments: [TestLauncher.Mode.root, .ordinaryUser])
        func network(mode: TestLauncher.Mode) throws {
            let log = try Self.run(
                mode, "tail -n +3 /proc/net/dev | wc -l; cat /proc/net/route | wc -l")
            #expect(log == "1\n1\n")
        }

        @Test(
            "files of the derivation are there, the builder's, before it runs",
            arguments: [TestLauncher.Mode.root, .ordinaryUser])
        func files(mode: TestLauncher.Mode) throws {
            let log = try Self.run(
                mode, "cat .attrs.json; stat -c '%u %g %a' .attrs.json; echo more >> .attrs.json",
                files: [.init(name: bytes(".attrs.json"), contents: bytes("{}\n"))])
            #expect(log == "{}\n1000 100 644\n")
        }

        @Test(
            "inputs are read-only: files, directories and links; what is no input is not there",
            arguments: [TestLauncher.Mode.root, .ordinaryUser])
        func inputs(mode: TestLauncher.Mode) throws {
            let launcher = try TestLauncher(mode).ready()
            let store = launcher.root + "/nix/store/"
            try TestLauncher.run(
                "/bin/sh",
                [
                    "-c",
                    """
                    cd \(store) && mkdir \(String(repeating: "1", count: 32))-dir && cd 1*-dir && echo in > file && cd ..
                    echo file > \(String(repeating: "2", count: 32))-file
                    ln -s \(String(repeating: "1", count: 32))-dir/file \(String(repeating: "3", count: 32))-link
                    echo hidden > \(String(repeating: "4", count: 32))-other
                    [ \(mode == .root) = true ] || chown -R -h \(TestLauncher.ordinaryUser) .
                    """,
                ])
            let request = try script(
                """
                cd /nix/store; ls; cat 1*/file 2* 3*
                exec 2>/dev/null
                for f in 1*/file 2* 3*; do echo x >> $f && echo "changed $f"; done
                touch 1*/new && echo "added"; chmod 777 1* 2* && echo "chmod"
                mv 2* /build/moved && echo moved; rm -f 2* 3* && echo removed; mv 1* other && echo renamed
                true
                """,
                inputs: [try name("dir", "1"), try name("file", "2"), try name("link", "3")])
            let (log, end) = try launcher.build(Self.build, request)
            #expect(end == .exited(0))
            let ones = String(repeating: "1", count: 32)
            let twos = String(repeating: "2", count: 32)
            let threes = String(repeating: "3", count: 32)
            if mode == .root {
                #expect(log == "\(ones)-dir\n\(twos)-file\n\(threes)-link\nin\nfile\nin\n")
            } else {
                // The builder is the caller, whose directory this is: a link in it, which is only a copy, goes.
                #expect(log.hasPrefix("\(ones)-dir\n\(twos)-file\n\(threes)-link\nin\nfile\nin\n"))
                for word in ["changed", "added", "chmod", "moved", "renamed"] {
                    #expect(!log.contains(word), "\(log)")
                }
            }
        }

        @Test("an input that is not in the store ends the build before it starts")
        func missingInput() throws {
            let launcher = try TestLauncher().ready()
            let (_, end) = try launcher.build(
                Self.build, try script("true", inputs: [try name("missing", "5")]))
            guard case .notStarted(let refusal) = end else {
                Issue.record("\(end)")
                return
            }
            #expect(refusal.reason == .input)
            #expect(refusal.errno == ENOENT)
        }

        @Test("a builder that does not exist ends the build before it starts")
        func missingBuilder() throws {
            let launcher = try TestLauncher().ready()
            var request = try script("true")
            request.builder = bytes("/no/such/builder")
            let (_, end) = try launcher.build(Self.build, request)
            guard case .notStarted(let refusal) = end else {
                Issue.record("\(end)")
                return
            }
            #expect(refusal.reason == .execute)
            #expect(refusal.errno == ENOENT)
        }

        @Test("the ways in which a builder ends are told apart")
        func ends() throws {
            let launcher = try TestLauncher().ready()
            for (text, expected) in [
                ("exit 0", BuildEnd.Builder.exited(0)), ("exit 7", .exited(7)),
                ("kill -9 $$", .signaled(9)), ("kill -TERM $$", .signaled(15)),
            ] {
                #expect(try launcher.build(Self.build, try script(text)).end == expected)
                try launcher.discard(Self.build)
            }
        }
    }
}
