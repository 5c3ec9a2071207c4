#!/usr/bin/env python3
"""Bad data and bad days through the real command: damaged files, full disks, killed runs.

Each must end with a clear error that names the file, the documented exit code, and the earlier good file untouched.
CNNC_LONG_TESTS=1 kills 200 times and flips each bit; CNNC_SEED=N chooses other random moments and bits.
"""
import pathlib
import signal
import sys

import common
import data
import days
import kills

# A shell's background job ignores Ctrl-C, and what it starts would too.
signal.signal(signal.SIGINT, signal.default_int_handler)
with common.work_folder() as name:
    work = pathlib.Path(name)
    days.may_mount = common.own_mounts()
    if not days.may_mount:
        print("robustness: full disks and read-only folders are left out: mounting needs root", file=sys.stderr)
    data.run(work)
    days.run(work)
    kills.run(work)
    if days.may_mount:
        days.unmount_all()
sys.exit(1 if common.failed else 0)
