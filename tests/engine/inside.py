"""What an image holds by its own tools and its own file system: run inside a container of it, prints JSON.

Belongs here: an account that shares no code with the package and needs nothing but Python's standard library.
Does not belong here: anything fast. Sizes are those of regular files, each inode once; what is mounted over
the image (its /proc, /etc/hosts and such) is left out.

A file belongs to the Python distribution whose RECORD names it, else to the Debian package that names it,
else to the innermost Node package around it; bytecode that nobody names belongs to whom its source belongs.
"""

import json
import os
import stat
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from importlib.util import source_from_cache
from pathlib import Path

Inode = tuple[int, int]
CACHES = (
    "var/lib/apt/lists",
    "var/cache/apt",
    "var/cache",
    "root/.cache/pip",
    "root/.npm/_cacache",
    "root/.npm",
    "tmp",
    "var/tmp",
)


def main(project: str) -> None:
    """Print the account; `project` is the folder of a Node application, or empty."""
    sizes, names = live_files()
    owners: dict[Inode, str] = {}
    named: dict[str, str] = {}
    python = {f"python {dist.metadata['Name']} {dist.version}": dist for dist in distributions()}
    for key, dist in python.items():
        for path in record_paths(dist):
            own(owners, named, key, path)
    debian = debian_packages()
    for name in debian:
        for path in said("dpkg-query", "--listfiles", name):
            if path.startswith("/"):
                own(owners, named, f"debian {name}", path)
    own_bytecode(owners, named, names)
    node = node_packages(project)
    own_node(owners, node, names, project)
    total: dict[str, list[int]] = {}
    for inode, size in sizes.items():
        bytes_and_files = total.setdefault(owners.get(inode, "none"), [0, 0])
        bytes_and_files[0] += size
        bytes_and_files[1] += 1
    account = {
        "live_bytes": sum(sizes.values()),
        "live_files": len(sizes),
        "owned": total,
        "debian": debian,
        "only_recommended": only_recommended(),
        "pip_list": {
            item["name"]: item["version"] for item in json.loads("".join(said(*PIP, "list", "--format=json")))
        },
        "with_record": [key for key, dist in python.items() if has_record(dist)],
        "node": node,
        "folders": {folder: sum(sizes[i] for i in inodes_below(folder, names)) for folder in CACHES},
    }
    json.dump(account, sys.stdout)


DEBIAN_PYTHON = "/usr/lib/python3/dist-packages"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def live_files() -> tuple[dict[Inode, int], dict[str, Inode]]:
    """Sizes of all regular files by inode, and the inode of every name."""
    sizes: dict[Inode, int] = {}
    names: dict[str, Inode] = {}
    root = os.lstat("/").st_dev
    for folder, folders, files in os.walk("/"):
        folders[:] = [name for name in folders if os.lstat(f"{folder}/{name}").st_dev == root]
        for name in files:
            path = os.path.join(folder, name)
            found = os.lstat(path)
            if stat.S_ISREG(found.st_mode) and found.st_dev == root and path != "/.dockerenv":
                names[path] = (found.st_dev, found.st_ino)
                sizes[names[path]] = found.st_size
    return sizes, names


def own(owners: dict[Inode, str], named: dict[str, str], owner: str, path: str) -> None:
    """Give a file, and its name, to the first that names it."""
    path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    try:
        found = os.lstat(path)
    except OSError:
        return
    named.setdefault(path, owner)
    if stat.S_ISREG(found.st_mode):
        owners.setdefault((found.st_dev, found.st_ino), owner)


def record_paths(dist: Distribution) -> list[str]:
    """What the RECORD of a distribution names; nothing where it has none, or where dpkg names its files."""
    if not has_record(dist):
        return []
    return [os.path.normpath(str(dist.locate_file(path))) for path in dist.files or ()]


def has_record(dist: Distribution) -> bool:
    """Whether it has a RECORD that tells its files."""
    return bool(dist.read_text("RECORD")) and str(dist.locate_file("")).rstrip("/") != DEBIAN_PYTHON


def own_bytecode(owners: dict[Inode, str], named: dict[str, str], names: dict[str, Inode]) -> None:
    """Give bytecode that nobody names to the owner of its source."""
    for path, inode in names.items():
        if path.endswith(".pyc") and "/__pycache__/" in path and inode not in owners:
            source = source_from_cache(path)
            if source in named:
                owners[inode] = named[source]


def debian_packages() -> dict[str, dict[str, object]]:
    """Installed packages by name; who asked for them is not known where apt never noted it."""
    form = "${Package}\t${Version}\t${Section}\t${Installed-Size}\t${db:Status-Status}\n"
    automatic = set(said("apt-mark", "showauto")) if Path("/var/lib/apt/extended_states").exists() else None
    rows = [line.split("\t") for line in said("dpkg-query", "--show", f"--showformat={form}")]
    return {
        name: {
            "version": version,
            "section": section,
            "installed_bytes": int(size) * 1024,
            "requested": None if automatic is None else name not in automatic,
        }
        for name, version, section, size, state in rows
        if state == "installed"
    }


def only_recommended() -> list[str]:
    """Packages that apt would let go of, did it not hold recommended packages for needed."""
    kept, strict = (removed(f"APT::AutoRemove::RecommendsImportant={held}") for held in ("true", "false"))
    return sorted(strict - kept)


def removed(setting: str) -> set[str]:
    """What `apt-get autoremove` would remove."""
    options = ("-o", setting, "-o", "APT::AutoRemove::SuggestsImportant=false")
    lines = said("apt-get", "--simulate", *options, "autoremove")
    return {line.split()[1] for line in lines if line.startswith("Remv ")}


def node_packages(project: str) -> dict[str, dict[str, object]]:
    """Packages of a Node application by their folders, as npm lists them; the application is one, too."""
    if not project:
        return {}
    all_of_them = npm_list(project)
    production = npm_list(project, "--omit=dev")
    return {
        path: {"name": name, "version": version, "development": path not in production}
        for path, (name, version) in all_of_them.items()
    }


def npm_list(project: str, *options: str) -> dict[str, tuple[str, str]]:
    """Name and version by folder."""
    command = ("npm", "ls", "--all", "--parseable", "--long", f"--prefix={project}", *options)
    found: dict[str, tuple[str, str]] = {}
    for line in said(*command):
        # FOLDER:NAME@VERSION, or FOLDER:ALIAS@npm:NAME@VERSION
        folder, *words = line.split(":")
        name, _, version = words[-1].rpartition("@")
        found[folder] = (name, version)
    return found


def own_node(
    owners: dict[Inode, str], packages: dict[str, dict[str, object]], names: dict[str, Inode], project: str
) -> None:
    """Give what is left to the innermost package around it; the application has its package.json alone."""
    for path, inode in names.items():
        around = next((str(folder) for folder in Path(path).parents if str(folder) in packages), None)
        if around is not None and (around != project or path == f"{project}/package.json"):
            owners.setdefault(inode, f"node {around}")


def inodes_below(folder: str, names: dict[str, Inode]) -> set[Inode]:
    """The files below a folder."""
    return {inode for path, inode in names.items() if path.startswith(f"/{folder}/")}


def said(*command: str) -> list[str]:
    """The lines that a command prints."""
    environment = os.environ | {"LC_ALL": "C.UTF-8", "npm_config_update_notifier": "false", "HOME": "/nonexistent"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return done.stdout.splitlines()


if __name__ == "__main__":
    main(*sys.argv[1:])
