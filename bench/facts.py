"""What the numbers were made with."""

import datetime
import os
import re

from scripts.runner import report


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    version = re.search(r"version (\S+)", report.output_of("qemu-system-riscv64", "--version") or "")
    return {"cpu": models[0] if models else os.uname().machine, "cores": os.cpu_count(),
            "commit": report.output_of("git", "rev-parse", "--short=12", "HEAD"),
            "dirty": bool(report.output_of("git", "status", "--porcelain", "--untracked-files=no")),
            "qemu": version[1] if version else None,
            "opensbi": report.output_of("dpkg-query", "-W", "-f", "${Version}", "opensbi"),
            "kernel": kernel(), "load": round(os.getloadavg()[0], 2),
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "seconds": 0}


def kernel():
    """Debian's version of the Linux guest."""
    try:
        with open("build/linux/versions", encoding="utf-8") as file:
            found = re.search(r"^linux-image-\S+ (\S+)", file.read(), re.MULTILINE)
    except OSError:
        return None
    return found and found[1]
