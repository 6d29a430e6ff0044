"""A8, A25, B2, E1, F5: processes that want to outlive their build, and users that are used again."""

import os
import pathlib
import time

from harness import POOL, USER, Host, Verdict, case, escaped, held, ids_of

LEFT = {
    "background": "sleep 77 &",
    "nohup": "nohup sleep 77 >/dev/null 2>&1 &",
    "setsid": "setsid sleep 77 >/dev/null 2>&1 &",
    "double-fork": "( ( sleep 77 & ) & ) >/dev/null 2>&1",
    "closed-descriptors": "sleep 77 <&- >&- 2>&- &",
    "ignores-all": "(trap '' HUP INT QUIT TERM USR1 USR2; sleep 77) >/dev/null 2>&1 &",
    "stopped": "sleep 77 >/dev/null 2>&1 & kill -STOP $!",
    "many": "i=0; while [ $i -lt 200 ]; do sleep 77 >/dev/null 2>&1 & i=$((i + 1)); done",
    "respawner": "(while :; do sleep 0.05 & wait; done) >/dev/null 2>&1 &",
    "forker": "(i=0; f() { i=$((i + 1)); [ $i -gt 300 ] && exit; ( f ) & }; f) >/dev/null 2>&1 &",
    "deletes-itself": "cp /bin/sh x; ./x -c 'rm -f x; sleep 77' >/dev/null 2>&1 &",
    "other-directory": "(cd /tmp; sleep 77) >/dev/null 2>&1 &",
}


def sleepers(user: int) -> list[str]:
    return [pid for pid in filter(str.isdigit, os.listdir("/proc")) if user in ids_of(pid)]


def left_outside(script: str):
    def control(host: Host) -> Verdict:
        # Two are enough to show that a process stays.
        host.outside(script.replace("-lt 200", "-lt 2").replace("-gt 300", "-gt 2"))
        time.sleep(0.1)
        found = sleepers(USER)
        for pid in found:
            try:
                os.kill(int(pid), 9)
            except ProcessLookupError:
                pass
        while sleepers(USER):
            for pid in sleepers(USER):
                try:
                    os.kill(int(pid), 9)
                except ProcessLookupError:
                    pass
            time.sleep(0.02)
        return escaped(f"{len(found)} processes stay") if found else held()

    return control


def left_inside(script: str, end: str):
    def inside(host: Host) -> Verdict:
        built = host.build(script + '\n: > "$out"\n' + end)
        left = host.survivors()
        if left:
            return escaped(f"processes stay: {left}")
        good = built.ok if end == "" else not built.ok
        return held() if good else Verdict("BROKEN", built.text[-200:])

    return inside


for name, script in LEFT.items():
    # A forker that has ended by itself leaves nothing outside either; it is told by the others.
    control = left_outside(script if name not in ("forker",) else LEFT["background"])
    case(f"B02.{name}", "R13", control)(left_inside(script, ""))
    case(f"B02.{name}-failing", "R13", control, quick=False)(left_inside(script, "exit 1"))


def marks(host: Host, first: str, second: str, control: bool) -> Verdict:
    """What one build leaves for the next one of the same user."""
    run = host.outside if control else host.build
    run(first + '\n: > "$out"')
    text = run(second + '\n: > "$out"').text
    return escaped("the next one finds it") if "FOUND" in text else held()


STATE = {
    "tmp": ("echo x > /tmp/kiln-left; chmod 666 /tmp/kiln-left", "test -e /tmp/kiln-left && echo FOUND"),
    "dev-shm": ("echo x > /dev/shm/kiln-left; chmod 666 /dev/shm/kiln-left", "test -e /dev/shm/kiln-left && echo FOUND"),
    "tmp-hidden": ("mkdir -p /tmp/.X11-kiln; chmod 777 /tmp/.X11-kiln", "test -e /tmp/.X11-kiln && echo FOUND"),
    "message-queue-directory": ("mkdir /dev/shm/mq; chmod 777 /dev/shm/mq", "test -e /dev/shm/mq && echo FOUND"),
}
for name, (first, second) in STATE.items():
    def control(host: Host, first: str = first, second: str = second, name: str = name) -> Verdict:
        verdict = marks(host, first, second + "; true", True)
        for path in ("/tmp/kiln-left", "/dev/shm/kiln-left"):
            pathlib.Path(path).unlink(missing_ok=True)
        for path in ("/tmp/.X11-kiln", "/dev/shm/mq"):
            if os.path.isdir(path):
                os.rmdir(path)
        return verdict

    def inside(host: Host, first: str = first, second: str = second) -> Verdict:
        return marks(host, first, second + "; true", False)

    case(f"B20.state-in-{name}", "R8", control)(inside)


@case("A08.build-directory-closed-to-others", "R12", lambda host: escaped("an ordinary directory") if os.stat(host.base).st_mode & 0o005 else held())
def closed(host: Host) -> Verdict:
    """While a build runs, nobody but root gets beneath the work directory."""
    import subprocess
    import threading

    result: list[str] = []

    def look() -> None:
        for _ in range(40):
            done = subprocess.run(
                ["setpriv", "--reuid", str(USER), "--clear-groups", "find", str(host.root / "nix/var/kiln"), "-name", "build"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            result.extend(done.stdout.split())
            time.sleep(0.02)

    thread = threading.Thread(target=look)
    thread.start()
    host.build('sleep 1; chmod 777 "$NIX_BUILD_TOP"; sleep 0.3; : > "$out"')
    thread.join()
    return escaped(f"another user sees {result[0]}") if result else held()


@case("A08.build-directory-gone", "R8", lambda host: escaped("it is there") if host.outside("echo x > kept").ok else held())
def gone(host: Host) -> Verdict:
    host.build('echo x > kept; chmod 777 . kept; : > "$out"')
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        left = [path for place in ("work", "staging", "trash") for path in (host.root / "nix/var/kiln" / place).glob("*/*")]
        if not left:
            return held()
        time.sleep(0.1)
    return escaped(f"left: {left[0]}")


@case("A08.no-file-of-a-pool-user-stays", "R8", lambda host: escaped("the user's") if (lambda b: b.path and b.path.lstat().st_uid == USER)(host.outside('echo x > "$out"')) else held())
def no_file(host: Host) -> Verdict:
    host.build('mkdir -p "$out/d"; echo x > "$out/d/f"; ln -s f "$out/d/l"; echo y > left')
    for path in (host.root / "nix").rglob("*"):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        # The engine's own id is the first behind the pool's.
        if found.st_uid in POOL:
            return escaped(f"{path} belongs to {found.st_uid}")
    return held()
