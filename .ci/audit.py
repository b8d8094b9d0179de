"""Known vulnerabilities of what `requirements.lock` names; where nobody can be asked, it says so and goes on.

audit.py PATH/TO/pip-audit
"""

import json
import subprocess
import sys

PATIENCE = 120
"""Seconds for the vulnerability service to answer."""


def main(pip_audit: str) -> int:
    command = [pip_audit, "--require-hashes", "--disable-pip", "-r", "requirements.lock", "--format", "json"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        packages = json.loads(asked.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        print("nothing could be checked: the vulnerability service does not answer from here")
        return 0
    found = [package for package in packages if package.get("vulns")]
    for package in found:
        for vulnerability in package["vulns"]:
            fixed = ", ".join(vulnerability["fix_versions"]) or "no release yet"
            print(f"{package['name']} {package['version']}: {vulnerability['id']}, mended in {fixed}")
    skipped = sum("skip_reason" in package for package in packages)
    print(f"{len(packages) - skipped} packages checked, {skipped} unknown to the service, {len(found)} vulnerable")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
