"""A6, A10, A21, A28, A32, B3, B4: outputs that no store may hold."""

import os
import pathlib

from harness import Host, Verdict, case, escaped, held, rights, tree_case

# What the files of an output may not be.
tree_case("A32.fifo", "R23", 'mkdir "$out"; mkfifo "$out/f"')
tree_case("A32.fifo-at-top", "R23", 'mkfifo "$out"')
tree_case("A10.output-setuid", "R7", 'echo x > "$out"; chmod 4755 "$out" || cp /bin/sh "$out"; chmod u+s "$out" || true')
tree_case("A10.output-setgid-directory", "R7", 'mkdir "$out"; chmod 2755 "$out" || true; chmod g+s "$out" || true')
tree_case("A10.output-sticky", "R23", 'mkdir "$out"; chmod 1777 "$out"')
tree_case("B03.output-world-writable", "R23", 'echo x > "$out"; chmod 666 "$out"')
tree_case("B03.output-group-writable", "R23", 'echo x > "$out"; chmod 664 "$out"')
tree_case("B03.directory-world-writable", "R23", 'mkdir "$out"; chmod 777 "$out"')
tree_case("B03.file-inside-world-writable", "R23", 'mkdir "$out"; echo x > "$out/f"; chmod 777 "$out/f"')
tree_case("B03.directory-inside-world-writable", "R23", 'mkdir -p "$out/d"; chmod 777 "$out/d"')
tree_case("B03.unreadable", "R23", 'mkdir "$out"; echo x > "$out/f"; chmod 0 "$out/f"; chmod 300 "$out"')
tree_case("A21.hard-link-to-build-directory", "R23", 'mkdir "$out"; echo x > "$out/f"; ln "$out/f" "$NIX_BUILD_TOP/keep"')
tree_case("A21.hard-links-inside", "R23", 'mkdir "$out"; echo x > "$out/a"; ln "$out/a" "$out/b"')
tree_case("A21.hard-link-at-top", "R23", 'echo x > "$out"; ln "$out" "$NIX_BUILD_TOP/keep"')
tree_case("A21.many-links", "R23", 'mkdir "$out"; echo x > "$out/f"; i=0; while [ $i -lt 200 ]; do ln "$out/f" "$out/l$i"; i=$((i + 1)); done')
tree_case("A28.owner-write-bits", "R10", 'mkdir -p "$out/d"; echo x > "$out/d/f"; chmod 755 "$out/d"; chmod 644 "$out/d/f"')
tree_case("A28.executable-stays-one", "R10", 'echo "#!/bin/sh" > "$out"; chmod 755 "$out"')


def points_out(path: pathlib.Path) -> str | None:
    """A link that a careless reader would follow; the store keeps it as a link, and of root's."""
    found = path.lstat()
    return None if found.st_uid == 0 and path.is_symlink() else f"no link of root's: {found.st_mode:o} {found.st_uid}"


tree_case("B04.top-is-a-link-to-host", "R4", 'ln -s /etc/shadow "$out"', judge=points_out)
tree_case("B04.top-is-a-link-to-itself", "R4", 'ln -s "$out" "$out"', judge=points_out)
tree_case("B04.link-inside-to-parent", "R4", 'mkdir "$out"; ln -s ../../.. "$out/up"')
tree_case("B04.link-to-proc", "R4", 'ln -s /proc/self/root "$out"', judge=points_out)


def link_target_kept(host: Host, target: str) -> Verdict:
    """What a link points at on the host is never touched, whatever its mode and owner are."""
    built = host.build(f'ln -s {target} "$out"')
    found = os.stat(target)
    if found.st_uid != 0:
        return escaped(f"{target} belongs to {found.st_uid}")
    return held(built.text.splitlines()[-1][:100] if built.text else "")


def chown_by_link(host: Host) -> Verdict:
    place = host.base / "victim"
    place.write_text("x")
    os.chmod(place, 0o600)
    link = host.base / "hostile-link"
    link.symlink_to(place)
    os.chown(link, 65534, 65534)  # follows, as a careless taker of outputs would
    return escaped("the target changed owner") if place.stat().st_uid == 65534 else held()


@case("A07.link-to-roots-file-is-not-followed", "R4", chown_by_link)
def not_followed(host: Host) -> Verdict:
    return link_target_kept(host, str(host.canary / "root.txt"))


def names_of_store(host: Host) -> set[str]:
    store = host.root / "nix/store"
    return {name for name in os.listdir(store) if not name.endswith(".lock")} if store.exists() else set()


def leaves_sibling(host: Host, script: str, ok: bool) -> Verdict:
    """Nothing but a declared output gets into the store."""
    before = names_of_store(host)
    built = host.build(script)
    new = {name for name in names_of_store(host) - before if not name.endswith((".drv", ".sh"))}
    if built.path is not None:
        new.discard(built.path.name)
    if new:
        return escaped(f"in the store: {sorted(new)}")
    return held() if built.ok == ok else Verdict("BROKEN", built.text[-200:])


def outside_sibling(host: Host) -> Verdict:
    built = host.outside('echo x > "$out"; echo y > "$(dirname "$out")/sibling"')
    return escaped("a sibling is there") if built.path and (built.path.parent / "sibling").exists() else held()


@case("B04.undeclared-sibling", "R10", outside_sibling)
def sibling(host: Host) -> Verdict:
    return leaves_sibling(host, f'echo x > "$out"; echo y > "/nix/store/{"0" * 32}-evil"', True)


@case("B04.sibling-called-like-scratch", "R10", outside_sibling)
def scratch(host: Host) -> Verdict:
    return leaves_sibling(host, 'echo x > "$out"; echo y > "$out.tmp"; mkdir "$out.lock"; ln -s /etc/shadow "$out.check"', True)


@case("A06.failed-build-leaves-nothing", "R10", outside_sibling)
def failed(host: Host) -> Verdict:
    return leaves_sibling(host, 'mkdir "$out"; echo x > "$out/f"; chmod 777 "$out"; exit 1', False)


@case("A06.killed-build-leaves-nothing", "R10", outside_sibling)
def killed(host: Host) -> Verdict:
    return leaves_sibling(host, 'echo x > "$out"; kill -9 $$', False)


@case("A32.output-missing", "R26", lambda host: escaped("no output, no complaint") if host.outside("true").ok else held())
def missing(host: Host) -> Verdict:
    built = host.build("true")
    return escaped("a build without an output is good") if built.ok else held(built.text.splitlines()[-1][:120])


def deep(host: Host) -> Verdict:
    """A tree so deep that a recursive walk would overflow; refused or taken, and the next build works."""
    script = 'mkdir "$out"; cd "$out"; i=0; while [ $i -lt 3000 ]; do mkdir d; cd d; i=$((i + 1)); done'
    built = host.build(script, limit=300)
    verdict = host.service()
    return held(("taken" if built.ok else built.text.splitlines()[-1])[:120]) if verdict.word == "HELD" else verdict


def deep_outside(host: Host) -> Verdict:
    built = host.outside('mkdir "$out"; cd "$out"; i=0; while [ $i -lt 1500 ]; do mkdir dddd; cd dddd; i=$((i + 1)); done')
    try:
        path = built.path
        text = str(path) + "/dddd" * 1500
        os.stat(text)
    except OSError as error:
        return escaped(f"a walk by path fails: {error.strerror}")
    return held()


case("A32.deep-tree", "R5", deep_outside, quick=False)(deep)


def many(host: Host) -> Verdict:
    built = host.build('mkdir "$out"; cd "$out"; i=0; while [ $i -lt 5000 ]; do : > f$i; i=$((i + 1)); done', limit=300)
    if not built.ok or built.path is None:
        return Verdict("BROKEN", built.text[-200:])
    reason = rights(built.path)
    return escaped(reason) if reason else held("5,000 files")


def many_outside(host: Host) -> Verdict:
    built = host.outside('mkdir "$out"; cd "$out"; i=0; while [ $i -lt 50 ]; do : > f$i; i=$((i + 1)); done')
    reason = rights(built.path) if built.path else None
    return escaped(reason) if reason else held()


case("A32.many-files", "R23", many_outside, quick=False)(many)

# Names that a careless program takes for something else.
NAMES = {
    "newline": "'a\nb'", "escape": "'\033[2Jx'", "dash": "'./-rf'", "spaces": "'  '", "backslash": "'a\\\\b'",
    "not-utf8": "\"$(printf 'a\\377')\"", "dots": "'...'", "long": "\"$(printf '%0250d' 0)\"", "case": "A a",
}
for name, word in NAMES.items():
    tree_case(f"A13.name-{name}", "R15", f'mkdir "$out"; cd "$out"; for f in {word}; do echo x > "$f"; done')
