"""Called by dashboards/check with the first port of the fleet; Prometheus is four above it."""
import json
import pathlib
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

PORT = int(sys.argv[1])
END = time.monotonic() + 120


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.headers.get_content_type(), answer.read().decode()


def eventually(what, attempt):
    """Repeats an attempt until it returns something, for two minutes in all."""
    while True:
        try:
            if result := attempt():
                return result
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        if time.monotonic() > END:
            sys.exit(f"did not come: {what}")
        time.sleep(1)


def metrics(port):
    kind, text = get(f"http://127.0.0.1:{port}/metrics")
    assert kind == "application/openmetrics-text", kind
    assert text.endswith("# EOF\n")
    works = re.search(r'hybridcache_loads_total\{.*function="product",result="ok"\} [1-9]', text)
    return text if works else None


def lint(text):
    counters = re.findall(r"^# TYPE (\S+) counter$", text, re.M)
    for name in counters:
        text = re.sub(rf"^# (TYPE|HELP) {name} ", rf"# \1 {name}_total ", text, flags=re.M)
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True)
    if checked.returncode != 0:
        sys.exit(f"promtool: {checked.stdout}{checked.stderr}")


def query(expression):
    parameters = urllib.parse.urlencode({"query": expression})
    _, text = get(f"http://127.0.0.1:{PORT + 4}/api/v1/query?{parameters}")
    answer = json.loads(text)
    assert answer["status"] == "success", answer
    return answer["data"]["result"]


def expressions():
    dashboard = json.loads(pathlib.Path("dashboards/hybridcache.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "10s").replace("$cache", ".*")
            yield panel["title"], expression


for port in range(PORT, PORT + 3):
    lint(eventually(f"metrics of port {port}", lambda port=port: metrics(port)))
print("promtool check metrics: 3 processes passed")
eventually("three processes that are scraped", lambda: len(query("hybridcache_shared_up == 1")) == 3)
eventually("ten seconds of scrapes", lambda: len(query("count_over_time(hybridcache_shared_up[30s]) > 12")) == 3)
checked = 0
for title, expression in expressions():
    eventually(f"a series for `{title}`: {expression}", lambda expression=expression: query(expression))
    checked += 1
scraped = query("sum(up)")[0]["value"][1]
print(f"{checked} expressions of the dashboard returned series; {scraped} of 3 targets are up")
assert checked >= 30 and scraped == "3"
