"""What the cases of the attack suite are run with: builds, controls, and what must not change on the host."""

import collections
import contextlib
import ctypes
import dataclasses
import errno
import hashlib
import os
import pathlib
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
POLICIES = REPOSITORY / "policies"
USER = 61238  # an ordinary user that no account has
# Ids of the automatic pool, as EngineIdentity and the launcher's configuration have them.
POOL = range(872_415_232, 872_415_232 + 128 * 65_536)
PROTECTED = ["protected_symlinks", "protected_hardlinks", "protected_fifos", "protected_regular"]


@dataclasses.dataclass
class Verdict:
    """What a case came to; `word` is HELD, ESCAPED, SKIP or BROKEN."""

    word: str
    what: str = ""


@dataclasses.dataclass
class Case:
    """One named try. `inside` builds and judges; `control` does the same without the rule and must escape."""

    id: str
    rule: str
    inside: Callable[["Host"], Verdict]
    control: Callable[["Host"], Verdict]
    quick: bool = True


CASES: list[Case] = []


def held(what: str = "") -> Verdict:
    return Verdict("HELD", what)


def escaped(what: str) -> Verdict:
    return Verdict("ESCAPED", what)


@dataclasses.dataclass
class Built:
    """A build that was tried: whether it went well, its output on the host, and what was printed."""

    ok: bool
    path: pathlib.Path | None
    text: str
    seconds: float
    raw: bytes = b""  # what was printed, as it was


class Host:
    """A store of its own, canaries beside it, and ways to build in the one and to run outside of it."""

    def __init__(self, kiln: str, pool: int) -> None:
        self.kiln = kiln
        self.pool = pool
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="kiln-attacks-", dir="/var/lib"))
        self.base.chmod(0o755)
        self.root = self.base / "root"
        self.root.mkdir()
        self.canary = self.base / "canary"
        self.number = 0
        self._make_canaries()

    def close(self) -> None:
        self._listeners.close()
        # Not Python's: a builder's tree may be deeper than its stack.
        subprocess.run(["rm", "-rf", self.base], check=True)
        for path in ("/dev/shm/kiln-canary", "/tmp/kiln-canary"):
            pathlib.Path(path).unlink(missing_ok=True)
        for command in (["-M"], ["-S"], ["-Q"]):
            subprocess.run(["ipcrm", *command, "0x4b494c4e"], stderr=subprocess.DEVNULL, check=False)

    # MARK: Building

    def build(
        self, script: str, *, inputs: dict[str, str] | None = None, lines: str = "", profile: str = "default",
        options: list[str] | None = None, limit: float = 120,
    ) -> Built:
        """Builds one derivation whose builder is a script; `inputs` are files of the host by variable."""
        self.number += 1
        place = self.base / f"recipe-{self.number}"
        place.mkdir()
        text = [f'profile = "{profile}"', f"[derivation.case-{self.number}-{os.getpid()}]", "script = '''", script, "'''"]
        text.append(lines)
        for name, path in (inputs or {}).items():
            text.append(f'inputs.{name} = {{ path = "{path}" }}')
        (place / "kiln.toml").write_text("\n".join(text) + "\n")
        return self.run(["build", "-L", *(options or []), str(place / "kiln.toml")], limit)

    def run(self, arguments: list[str], limit: float = 120) -> Built:
        """Runs `kiln` on this host's store."""
        words = [self.kiln, arguments[0], "--root", str(self.root), *arguments[1:]]
        if arguments[0] == "build":
            words[2:2] = ["--build-users", str(self.pool), "--policy-dir", str(POLICIES)]
        begin = time.monotonic()
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit,
                cwd=self.base)
        except subprocess.TimeoutExpired as error:
            return Built(False, None, f"no end within {limit} s: {error.output!r}", limit)
        text = done.stdout.decode("utf-8", "replace")
        path = None
        for line in text.splitlines():
            if line.startswith("/nix/store/") and done.returncode == 0:
                path = pathlib.Path(str(self.root) + line.strip())
        return Built(done.returncode == 0, path, text, time.monotonic() - begin, done.stdout)

    def outside(self, script: str, *, user: int | None = USER, inputs: dict[str, str] | None = None) -> Built:
        """Runs a builder's script with nothing around it, as an ordinary user or as root."""
        self.number += 1
        place = self.base / f"outside-{self.number}"
        place.mkdir()
        out = place / "out"
        environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "out": str(out), "NIX_BUILD_TOP": str(place), "TMPDIR": str(place)}
        environment.update(inputs or {})
        words = ["sh", "-e", "-c", script]
        if user is not None:
            os.chown(place, user, user)
            words = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", *words]
        begin = time.monotonic()
        # A file, not a pipe: what stays behind would keep that open.
        with tempfile.TemporaryFile() as log:
            done = subprocess.run(
                words, env=environment, cwd=place, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, timeout=120)
            log.seek(0)
            raw = log.read()
        found = out if out.exists() or out.is_symlink() else None
        return Built(done.returncode == 0, found, raw.decode("utf-8", "replace"), time.monotonic() - begin, raw)

    def service(self) -> Verdict:
        """Whether somebody else's trivial build still works."""
        built = self.build('echo "$$ service" > "$out"', limit=60)
        return held() if built.ok else escaped(f"the next build fails: {built.text[-300:]}")

    # MARK: What must not change

    def _make_canaries(self) -> None:
        (self.canary / "directory").mkdir(parents=True)
        (self.canary / "root.txt").write_text("SECRET\n")
        (self.canary / "root.txt").chmod(0o600)
        (self.canary / "world.txt").write_text("public\n")
        (self.canary / "empty").touch()
        for name in ("a", "b", "c"):
            (self.canary / "directory" / name).write_text(name)
        (self.canary / "link").symlink_to("world.txt")
        for path in ("/dev/shm/kiln-canary", "/tmp/kiln-canary"):
            pathlib.Path(path).write_text("SECRET\n")
            os.chmod(path, 0o644)
        subprocess.run(["ipcrm", "-M", "0x4b494c4e"], stderr=subprocess.DEVNULL, check=False)
        libc = ctypes.CDLL(None, use_errno=True)
        key, make = 0x4B494C4E, 0o1666
        for made in (libc.shmget(key, 4096, make), libc.semget(key, 1, make), libc.msgget(key, make)):
            if made < 0:
                raise OSError(ctypes.get_errno(), "the canaries of System V")
        # Two hosts of one run share what has one name on the machine.
        self._listeners = contextlib.ExitStack()
        for family, place in (
            (socket.AF_UNIX, "\0kiln-canary-host"), (socket.AF_INET, ("127.0.0.1", 4711)), (socket.AF_INET6, ("::1", 4711)),
        ):
            listener = self._listeners.enter_context(socket.socket(family))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(place)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            listener.listen(64)

    def snapshot(self) -> dict[str, str]:
        """What a build must leave as it is."""
        result = {}
        for path in sorted([self.canary, *self.canary.rglob("*"), *map(pathlib.Path, ("/etc/passwd", "/etc/group", "/etc/shadow"))]):
            result[str(path)] = describe(path)
        for name in ("kernel/core_pattern", "kernel/hostname", "vm/overcommit_memory", "net/core/somaxconn"):
            result[name] = (pathlib.Path("/proc/sys") / name).read_text()
        result["mounts"] = digest(pathlib.Path("/proc/self/mountinfo").read_bytes())
        result["shared memory"] = " ".join(sorted(os.listdir("/dev/shm")))
        for kind in ("shm", "sem", "msg"):
            rows = pathlib.Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:]
            result["ipc " + kind] = " ".join(row.split()[0] for row in rows)
        return result

    def objects(self) -> dict[str, str]:
        """What is in the store, each object with its inode."""
        store = self.root / "nix/store"
        if not store.exists():
            return {}
        return {f"{path.name} {path.lstat().st_ino}": describe(path) for path in store.iterdir() if not path.name.endswith(".lock")}

    def survivors(self) -> list[str]:
        """Processes that have an id of the pool this run lends, in any of four places, a moment after a build."""
        users = {POOL.start + index * 65_536 for index in range(self.pool)}
        for attempt in range(20):
            found = [pid for pid in filter(str.isdigit, os.listdir("/proc")) if users & set(ids_of(pid))]
            found = [pid for pid in found if self._is_ours(pid)]
            if not found:
                return []
            time.sleep(0.05)
        return found

    def _is_ours(self, pid: str) -> bool:
        """Other suites may build on this host; their sandboxes have a launcher of another root."""
        return not os.path.exists(f"/proc/{pid}") or launcher_of(pid) in (None, str(self.root))


def launcher_of(pid: str) -> str | None:
    """The --root of the command that a process descends from; nothing if it has lost its parents."""
    while pid not in ("0", "1"):
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return None
        if b"--root" in words:
            return words[words.index(b"--root") + 1].decode()
        pid = next(line.split()[1] for line in status.splitlines() if line.startswith("PPid:"))
    return None


def ids_of(pid: str) -> list[int]:
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return []
    return [int(word) for line in status.splitlines() if line.startswith("Uid:") for word in line.split()[1:]]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def describe(path: pathlib.Path) -> str:
    """Everything about one file that a builder could change, but its times of reading."""
    found = path.lstat()
    text = f"{found.st_ino} {found.st_mode:o} {found.st_uid} {found.st_gid} {found.st_nlink if stat.S_ISREG(found.st_mode) else ''} {found.st_mtime_ns}"
    if stat.S_ISREG(found.st_mode):
        text += f" {digest(path.read_bytes())} {os.listxattr(path)}"
    if stat.S_ISLNK(found.st_mode):
        text += " " + os.readlink(path)
    return text


def rights(path: pathlib.Path) -> str | None:
    """The first thing in a tree that a store object may not have; nothing if all is well."""
    files = [path, *(path.rglob("*") if path.is_dir() and not path.is_symlink() else [])]
    names = collections.Counter(file.lstat().st_ino for file in files)
    for file in files:
        found = file.lstat()
        mode = found.st_mode
        if found.st_uid != 0 or found.st_gid != 0:
            return f"{file.name} is {found.st_uid}:{found.st_gid}'s"
        if not stat.S_ISLNK(mode) and mode & 0o7222:
            return f"{file.name} has mode {stat.S_IMODE(mode):o}"
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
            return f"{file.name} is no file, directory or link"
        if stat.S_ISREG(mode) and found.st_nlink != names[found.st_ino]:
            return f"{file.name} has a name outside of the output"
        if not stat.S_ISLNK(mode) and os.listxattr(file):
            return f"{file.name} has attributes {os.listxattr(file)}"
    return None


# MARK: Cases


def tree_case(
    id: str, rule: str, script: str, *, as_root: bool = False, judge: Callable[[pathlib.Path], str | None] = rights,
    quick: bool = True, needs: dict[str, str] | None = None,
) -> None:
    """A builder that makes an output which no store may hold: refused, or harmless once it is in the store."""

    def inside(host: Host) -> Verdict:
        built = host.build(script, inputs=needs)
        if not built.ok:
            return held(last_line(built.text))
        if built.path is None:
            return Verdict("BROKEN", built.text[-300:])
        reason = judge(built.path)
        return escaped(reason) if reason else held("taken, without it")

    def control(host: Host) -> Verdict:
        built = host.outside(script, user=None if as_root else USER, inputs=needs)
        if built.path is None:
            return held(built.text[-300:])
        reason = judge(built.path)
        return escaped(reason) if reason else held()

    CASES.append(Case(id, rule, inside, control, quick))


def script_case(
    id: str, rule: str, script: str, *, as_root: bool = True, inputs: dict[str, str] | None = None, lines: str = "",
    control_script: str | None = None, quick: bool = True,
) -> None:
    """A builder that says ESCAPED or HELD itself; the same script outside must say ESCAPED."""

    def judge(built: Built) -> Verdict:
        if "ESCAPED" in built.text:
            return escaped(next(line for line in built.text.splitlines() if "ESCAPED" in line)[:200])
        if "HELD" in built.text:
            return held(next(line for line in built.text.splitlines() if "HELD" in line)[-200:])
        return Verdict("BROKEN", built.text[-300:])

    def inside(host: Host) -> Verdict:
        values = {name: value.replace("@canary", str(host.canary)) for name, value in (inputs or {}).items()}
        text = script.replace("@canary", str(host.canary)).replace("@root", str(host.root))
        return judge(host.build(text + '\n: > "$out"\n', inputs=values, lines=lines))

    def control(host: Host) -> Verdict:
        text = (control_script or script).replace("@canary", str(host.canary)).replace("@root", str(host.root))
        values = {name: value.replace("@canary", str(host.canary)) for name, value in (inputs or {}).items()}
        return judge(host.outside(text, user=None if as_root else USER, inputs=values))

    CASES.append(Case(id, rule, inside, control, quick))


def case(id: str, rule: str, control: Callable[[Host], Verdict], quick: bool = True) -> Callable:
    """Marks a function as a case that builds and judges by itself."""

    def mark(function: Callable[[Host], Verdict]) -> Callable[[Host], Verdict]:
        CASES.append(Case(id, rule, function, control, quick))
        return function

    return mark


def last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:160] if lines else ""
