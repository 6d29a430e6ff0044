"""A1, R2, R3: an object that somebody who built it can still write to."""

import hashlib
import base64
import pathlib
import socket
import subprocess
import time

from harness import Host, Verdict, case, escaped, held

HELLO = b"hello, world\n"
FIXED = 'outputHash = "sha256-' + base64.b64encode(hashlib.sha256(HELLO).digest()).decode() + '"'

# Ways to keep a way to write: each leaves a process behind that writes when the build is over.
KEEPERS = {
    "background-shell": '(exec 3<>"$out"; sleep 2; printf Pwned >&3) >/dev/null 2>&1 &',
    "own-session": 'setsid sh -c \'exec 3<>"$out"; sleep 2; printf Pwned >&3\' >/dev/null 2>&1 &',
    "double-fork": '( ( exec 3<>"$out"; sleep 2; printf Pwned >&3 ) & ) >/dev/null 2>&1 &',
    "ignores-signals": '(trap "" HUP INT TERM; exec 3<>"$out"; sleep 2; printf Pwned >&3) >/dev/null 2>&1 &',
    "append": '(exec 3>>"$out"; sleep 2; printf Pwned >&3) >/dev/null 2>&1 &',
    "hard-link": 'ln "$out" /build/keep 2>/dev/null || ln "$out" keep; (sleep 2; printf Pwned >> "$out") >/dev/null 2>&1 &',
}


def changed(path: pathlib.Path) -> Verdict:
    """Waits until the one left behind had its time, and looks at the object."""
    before = path.read_bytes()
    deadline = time.monotonic() + 3.5
    while time.monotonic() < deadline:
        if path.read_bytes() != before:
            return escaped("the object changed after it was registered")
        time.sleep(0.1)
    return held("it stays what it is")


def writer(id: str, script: str, lines: str) -> None:
    def control(host: Host) -> Verdict:
        built = host.outside(f'printf "hello, world\\n" > "$out"; chmod 644 "$out"; {script} sleep 0.3')
        return changed(built.path) if built.path else Verdict("BROKEN", built.text)

    @case(id, "R2" if not lines else "R3", control, quick=False)
    def inside(host: Host) -> Verdict:
        built = host.build(f'printf "hello, world\\n" > "$out"; {script} sleep 0.3', lines=lines)
        return changed(built.path) if built.ok else held(built.text.splitlines()[-1])


for name, text in KEEPERS.items():
    writer(f"A01.survivor-{name}", text, "")
    writer(f"A01.survivor-{name}-fixed", text, FIXED)


def same_inode_outside(host: Host) -> Verdict:
    built = host.outside('printf "hello, world\\n" > "$out"; stat -c "inode %i" "$out"')
    inode = int(built.text.split("inode ")[1])
    return escaped("the same inode") if built.path and built.path.stat().st_ino == inode else held()


@case("A01.fixed-output-is-a-copy", "R2", same_inode_outside)
def fixed_copy(host: Host) -> Verdict:
    # The text is another one each time, so that there is something to build.
    data = f"{host.base} {time.time()}\n".encode()
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    script = f'printf "%s\\n" "{data.decode().strip()}" > "$out"; stat -c "inode %i" "$out"'
    built = host.build(script, lines=f'outputHash = "sha256-{digest}"')
    if not built.ok or built.path is None:
        return Verdict("BROKEN", built.text[-200:])
    inside = next(int(line.split("inode ")[1]) for line in built.text.splitlines() if "inode " in line)
    return escaped("the builder's inode") if built.path.stat().st_ino == inside else held("another inode")


def meet(host: Host, script: str, run) -> Verdict:
    """Listens where a builder may try to pass a descriptor out, and says whether one came."""
    name = "\0kiln-meeting"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(name)
        listener.listen(4)
        listener.settimeout(0.2)
        built = run(script)
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            return held(built.text.strip().splitlines()[-1][:120] if built.text.strip() else "nobody came")
        with connection:
            return escaped("a builder reached a process of the host")


MEETING = (
    'printf "hello, world\\n" > "$out"; "$python" -c "import socket; s=socket.socket(socket.AF_UNIX); '
    "s.connect(chr(0)+'kiln-meeting')\" || true"
)


@case("A01.abstract-socket-to-host", "R1", lambda host: meet(host, MEETING, lambda s: host.outside(s, inputs={"python": "/usr/bin/python3"})))
def to_host(host: Host) -> Verdict:
    script = MEETING.replace('"$python"', "/usr/bin/python3")
    return meet(host, script, lambda s: host.build(s, profile="host-toolchain"))


@case("A01.abstract-socket-to-host-fixed", "R1", lambda host: meet(host, MEETING, lambda s: host.outside(s, inputs={"python": "/usr/bin/python3"})))
def to_host_fixed(host: Host) -> Verdict:
    script = MEETING.replace('"$python"', "/usr/bin/python3")
    return meet(host, script, lambda s: host.build(s, profile="host-toolchain", lines=FIXED))


# From outside in: Landlock does not stop this direction, a network namespace does.
INBOUND = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(chr(0) + 'kiln-inbound')
s.listen(1)
s.settimeout(3)
try:
    s.accept()
    print('ESCAPED somebody of the host came in')
except TimeoutError:
    print('HELD nobody came')
"""


def inbound(host: Host, run) -> Verdict:
    place = host.base / "inbound.py"
    place.write_text(INBOUND)
    place.chmod(0o644)
    caller = subprocess.Popen(
        ["python3", "-c", "import socket,time\nfor _ in range(60):\n  s=socket.socket(socket.AF_UNIX)\n  try:\n    s.connect(chr(0)+'kiln-inbound'); break\n  except OSError: time.sleep(0.1)"])
    try:
        built = run(place)
    finally:
        caller.kill()
        caller.wait()
    if "ESCAPED" in built.text:
        return escaped("a process of the host reached a builder")
    return held() if "HELD" in built.text else Verdict("BROKEN", built.text[-200:])


@case("A01.abstract-socket-into-build", "R1", lambda host: inbound(host, lambda p: host.outside(f"python3 {p}")), quick=False)
def into_build(host: Host) -> Verdict:
    return inbound(
        host, lambda p: host.build('/usr/bin/python3 "$listener"; : > "$out"', profile="host-toolchain", inputs={"listener": str(p)}))
