"""Distributes the matrix over hosts by GNU parallel and ssh, and collects one result.

  bench/sweep FILE      `make sweep HOSTS=FILE` [QUICK=1] [FULL=1] [ONLY=regex]
  bench/sweep --check FILE      only looks at the file of hosts
Each line of FILE is a host: the folder of a clone there, then what ssh takes to reach it.
  /home/me/trident  me@lab1
  /srv/trident      -p 2201 lab2
A bundle is a few workloads on all their machines, native among them: it runs on one host, so a ratio
never mixes two. What a host did not finish is done on another. After an interruption the same command
does what is missing.
"""

import hashlib
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from scripts.runner import report
from . import bundles, cells, results

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = "build/sweep"
SSH = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5",
       "-o", "ServerAliveCountMax=3"]
PASSED = ("QUICK", "FULL", "ONLY")


def read_hosts(path):
    """[(folder, ssh arguments)]."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.split() for line in file if line.strip() and not line.startswith("#")]
    except OSError as error:
        raise cells.Refusal(f"HOSTS={path} cannot be read ({error.strerror}): name a file with a line for "
                            "each host, a folder and what ssh takes.") from None
    bad = [line for line in lines if len(line) < 2]
    if bad or not lines:
        raise cells.Refusal(f"HOSTS={path}: {'each line' if lines else 'it is empty; each line'} needs the "
                            "folder of a clone and what ssh takes, such as: /home/me/trident me@lab1")
    return [(line[0], line[1:]) for line in lines]


def ask(host, command):
    folder, words = host
    done = subprocess.run([*SSH, *words, f"cd {shlex.quote(folder)} && {command}"], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def usable(hosts, commit):
    """The hosts that answer, with what is needed built there. All must be at this commit."""
    with ThreadPoolExecutor(len(hosts)) as pool:
        heads = list(pool.map(lambda host: ask(
            host, "git rev-parse --short=12 HEAD && git status --porcelain --untracked-files=no"), hosts))
    alive = []
    for host, (status, text, error) in zip(hosts, heads):
        name = " ".join(host[1])
        if status:
            print(f"sweep: {name} is left out: {(error or 'no answer').splitlines()[-1]}", file=sys.stderr)
            continue
        head, *changes = text.split("\n")
        if head != commit or changes:
            raise cells.Refusal(f"{name} is at {head}{' with changes' if changes else ''}, and this clone at "
                                f"{commit}: bring all clones to one commit.")
        alive.append(host)
    if not alive:
        raise cells.Refusal("no host answers: try ssh by hand.")
    given = " ".join(f"{name}={shlex.quote(os.environ[name])}" for name in PASSED if os.environ.get(name))
    with ThreadPoolExecutor(len(alive)) as pool:
        built = list(pool.map(lambda host: ask(host, f"make -s bench-files {given}"), alive))
    for host, (status, text, error) in zip(alive, built):
        if status:
            raise cells.Refusal(f"{' '.join(host[1])} cannot build: {(error or text).splitlines()[-1]}")
    return alive


def login(host):
    """As GNU parallel takes it, without the number of processors."""
    return " ".join([*SSH, *host[1]])


def job(hosts):
    """What runs on a host: the folder depends on which one it is."""
    given = " ".join(f"{name}={shlex.quote(os.environ[name])}" for name in PASSED if os.environ.get(name))
    places = " ".join(f"{shlex.quote(login(host))}) cd {shlex.quote(host[0])};;" for host in hosts)
    return f'case "$PARALLEL_SSHLOGIN" in {places} esac && {given} bench/run --bundle {{}}'


def run_parallel(hosts, count, folder):
    with open(f"{folder}/hosts", "w", encoding="utf-8") as file:
        file.writelines(f"1/{login(host)}\n" for host in hosts)
    resume = ["--resume-failed"] if os.path.exists(f"{folder}/joblog") else []
    command = ["parallel", "--will-cite", "--sshloginfile", f"{folder}/hosts", "--jobs", "1",
               "--joblog", f"{folder}/joblog", *resume, "--retries", str(len(hosts) + 1),
               "--results", f"{folder}/out/{{}}", "--line-buffer", "--quote", "sh", "-c", job(hosts), ":::",
               *map(str, range(count))]
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              env={**os.environ, "PARALLEL_SHELL": "/bin/sh"}, check=False).returncode
    except FileNotFoundError:
        raise cells.Refusal("GNU parallel is missing: scripts/setup bench installs or names it.") from None


def collect(folder, count):
    """The bundles' results that are whole, and the numbers of the others."""
    parts, missing = [], []
    for number in range(count):
        path = f"{folder}/out/{number}"
        try:
            parts.append(results.load(path))
        except cells.Refusal:
            missing.append(number)
    return parts, missing


def merge(parts, chosen):
    """One result: cells in the order of the matrix, and who measured which."""
    rows = {cell["id"]: cell for part in parts for cell in part["cells"]}
    hosts = {}
    for part in parts:
        facts = hosts.setdefault(part["machine"]["name"], {**part["machine"], "cells": []})
        facts["cells"] += [cell["id"] for cell in part["cells"]]
    most = max(hosts.values(), key=lambda facts: len(facts["cells"]))
    machine = {key: value for key, value in most.items() if key not in ("cells", "name")}
    machine.update(hosts=list(hosts.values()),
                   seconds=round(sum(part["machine"]["seconds"] for part in parts)))
    return {**parts[0], "machine": machine,
            "cells": [rows[cell.id] for cell in chosen if cell.id in rows]}


def folder_of(chosen, commit):
    """Of this matrix at this commit: only that is gone on with."""
    words = "\n".join([commit, *(cell.id for cell in chosen)])
    return f"{FOLDER}/{commit}-{hashlib.sha256(words.encode()).hexdigest()[:8]}"


def main(arguments):
    os.chdir(os.path.join(HERE, ".."))
    for name in os.environ.get("OPTIONS", "").split():
        os.environ.pop(name, None)
    *check, path = arguments or [""]
    if not path or check not in ([], ["--check"]):
        raise cells.Refusal("name a file of hosts: make sweep HOSTS=file")
    hosts = read_hosts(path)
    if check:
        return 0
    chosen = cells.select(bundles.matrix_level(), os.environ.get("ONLY"))
    commit = report.output_of("git", "rev-parse", "--short=12", "HEAD")
    folder = folder_of(chosen, commit)
    count = len(bundles.bundles(chosen))
    os.makedirs(f"{folder}/out", exist_ok=True)
    hosts = usable(hosts, commit)
    print(f"sweep: {len(chosen)} cells in {count} bundles on {len(hosts)} hosts", flush=True)
    run_parallel(hosts, count, folder)
    parts, missing = collect(folder, count)
    if missing:
        print(f"sweep: {len(missing)} of {count} bundles are missing; the same command does them. What was "
              f"said: {folder}/out/{missing[0]}.err", file=sys.stderr)
        return 1
    whole = merge(parts, chosen)
    results.check("the sweep", whole)
    report.write_json(f"{FOLDER}/results.json", whole)
    failed = sum(cell["status"] == "failed" for cell in whole["cells"])
    for host in whole["machine"]["hosts"]:
        print(f"{host['name']}: {len(host['cells'])} cells")
    print(f"{len(whole['cells'])} cells, {failed} failed; {FOLDER}/results.json")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except cells.Refusal as refusal:
        print(f"sweep: {refusal}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
