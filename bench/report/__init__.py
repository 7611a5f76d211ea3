"""The report of make bench: results.json -> build/report/ (docs/report.md).

load reads and refuses; results answers questions about cells; table, draw and svg write; sections say
what is shown; page puts it together; __main__ moves it into place when it is whole.
"""

import os

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
