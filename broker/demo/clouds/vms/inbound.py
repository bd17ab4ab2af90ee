"""A tiny image of an agent: nothing but an entrypoint that reads what the one of docker-agent's images reads.

The rest of its files are those of the machine that it runs on, mounted.
"""

import io
import tarfile
from typing import Final

SCRIPT: Final = """\
#!/bin/sh
if [ $# -eq 1 ] && [ "${1#-}" = "$1" ]; then exec "$1"; fi
said="$*" found=
option() { # NAME VALUE [WHAT]: the option, unless WHAT is among the arguments
  [ -n "$2" ] || return 0
  if [ -n "$3" ]; then case $said in *"$3"*) return 0 ;; esac; fi
  found="$found $1 $2"
}
name=${JENKINS_NAME:-$JENKINS_AGENT_NAME}
option -secret "$JENKINS_SECRET" "$JENKINS_SECRET"
option -name "$name" "$name"
option -tunnel "$JENKINS_TUNNEL" "-tunnel "
option -url "$JENKINS_URL"
option -workDir "$JENKINS_AGENT_WORKDIR" -workDir
if [ "$JENKINS_WEB_SOCKET" = true ]; then found="$found -webSocket"; fi
option -direct "$JENKINS_DIRECT_CONNECTION"
option -protocols "$JENKINS_PROTOCOLS"
option -instanceIdentity "$JENKINS_INSTANCE_IDENTITY"
eval "set -- $REMOTING_OPTS \\"\\$@\\""
java=${JENKINS_JAVA_BIN:-${JAVA_HOME:+$JAVA_HOME/bin/}java}
exec $java ${JENKINS_JAVA_OPTS:-$JAVA_OPTS} -jar ${JENKINS_AGENT_FILE:-/usr/share/jenkins/agent.jar} $found "$@"
"""
"""Does what tests/entrypoints.py says that docker-agent's own does."""
ENTRYPOINT: Final = "/jenkins-agent"
_FOLDERS: Final = ("usr", "etc", "tmp", "proc", "sys", "dev", "run", "var", "root", "home", "home/jenkins")


def tiny_image() -> bytes:
    """A tar of some 20 kB: empty directories, the links of a merged /usr, two users, an entrypoint."""
    files = {
        ENTRYPOINT.strip("/"): SCRIPT,
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\njenkins:x:1000:1000::/home/jenkins:/bin/sh\n",
        "etc/group": "root:x:0:\njenkins:x:1000:\n",
    }
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for folder in _FOLDERS:
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        for link in ("bin", "sbin", "lib", "lib64"):
            entry = tarfile.TarInfo(link)
            entry.type, entry.linkname = tarfile.SYMTYPE, f"usr/{link}"
            tar.addfile(entry)
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o755 if f"/{name}" == ENTRYPOINT else 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    return content.getvalue()
