"""The JSON lines of host.ts, as a peer speaks them: a greeting, then one answer a request."""

import json
import sys

replies, sys.stdout = sys.stdout, sys.stderr  # a library that prints must not break the protocol


def reply(message):
    replies.write(json.dumps(message) + "\n")
    replies.flush()


def unavailable(error):
    """Says why the peer can do nothing, and ends."""
    reply({"error": str(error)})
    sys.exit(0)


def serve(greeting, answer):
    """Answers requests until there are no more. `answer(request)` gives what it found; None for a request to forget what was built."""
    reply(greeting)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply({"id": request["id"], **(answer(request) or {})})
        except Exception as error:
            reply({"id": request["id"], "error": str(error).split("\n")[0]})
