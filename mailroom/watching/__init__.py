"""What this process counts and measures, for Prometheus: a module for each topic, with a registry of its own.

Metrics are global to a process, as its log is: the code that counts imports the metric and adds to it. An addition
costs about a microsecond and speaks to nobody. `exposition` says which topics each part shows. docs/watching.md has a
table of all metrics, which a test holds to these modules.

Labels are words of closed lists: providers, outcomes, templates of routes. An id, an address or a path is never a
label, because each new value would be stored for as long as the process lives.
"""

from prometheus_client import disable_created_metrics

# A second series for each counter, with the time at which it began: nobody asks for it.
disable_created_metrics()  # type: ignore[no-untyped-call]
