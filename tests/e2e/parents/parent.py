"""A parent as v1 had many. Arguments: how it goes about it, and the command of the sidecar; lines come from its stdin.

`one by one`: writes a line and reads a line, and at the end closes stdin and waits. `at once`: writes all lines and
closes stdin without waiting, then reads what comes. Never reads stderr. Prints what it reads, and the exit code.
"""

import subprocess
import sys

how, *command = sys.argv[1:]
sidecar = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
assert sidecar.stdin
assert sidecar.stdout
if how == "one by one":
    print(sidecar.stdout.readline(), end="")  # ready
    for line in sys.stdin:
        sidecar.stdin.write(line)
        sidecar.stdin.flush()
        print(sidecar.stdout.readline(), end="")
    sidecar.stdin.close()
else:
    sidecar.stdin.write(sys.stdin.read())
    sidecar.stdin.close()
    print(sidecar.stdout.read(), end="")
print(sidecar.wait())
