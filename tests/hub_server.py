"""A Hub on the loopback address: repositories are made, written by commits and read by files."""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_secret"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def respond(self):
        length = int(self.headers.get("Content-Length", 0))
        self.body = self.rfile.read(length)
        self.server.requests.append((self.command, self.path))
        for pattern, action in ROUTES.items():
            method, _, path = pattern.partition(" ")
            match = re.fullmatch(path, self.path.partition("?")[0])
            if method in (self.command, "ANY") and match:
                return getattr(self, action)(*match.groups())
        return self.send(404, b"")

    def do_GET(self):
        self.respond()

    def do_HEAD(self):
        self.respond()

    def do_POST(self):
        self.respond()

    def do_PUT(self):
        self.respond()

    def send(self, status, body, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer(self, **content):
        self.send(200, json.dumps(content).encode(), Content_Type="application/json")

    def may_write(self):
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        self.send(401, b"{}")
        return False

    def create(self):
        if self.may_write():
            wanted = json.loads(self.body)
            name = "/".join(filter(None, (wanted.get("organization"), wanted["name"])))
            self.server.repos.setdefault(name, {})
            self.answer(url=f"{self.server.address}/{name}")

    def validate(self):
        self.answer(errors=[], warnings=[])

    def preupload(self, repo):
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(self.body)["files"]
        ]
        self.answer(files=files)

    def batch(self, repo):
        wanted = json.loads(self.body)["objects"]
        objects = [
            {**o, "actions": {"upload": {"href": f"{self.server.address}/lfs/{o['oid']}"}}}
            for o in wanted
        ]
        self.answer(transfer="basic", objects=objects)

    def store(self, oid):
        assert hashlib.sha256(self.body).hexdigest() == oid
        self.server.objects[oid] = self.body
        self.send(200, b"")

    def commit(self, repo, branch):
        if not self.may_write():
            return
        for line in self.body.splitlines():
            change = json.loads(line)
            value = change["value"]
            if change["key"] == "file":
                self.server.repos[repo][value["path"]] = base64.b64decode(value["content"])
            elif change["key"] == "lfsFile":
                self.server.repos[repo][value["path"]] = self.server.objects[value["oid"]]
        oid = hashlib.sha1(self.body).hexdigest()
        self.server.commits[repo] = oid
        url = f"{self.server.address}/{repo}/commit/{oid}"
        self.answer(success=True, commitOid=oid, commitUrl=url, hookOutput="")

    def file(self, repo, revision, path):
        known = self.server.repos.get(repo)
        if known is None:
            return self.send(404, b"", X_Error_Code="RepoNotFound")
        if revision not in ("main", self.server.commits[repo]):
            return self.send(404, b"", X_Error_Code="RevisionNotFound")
        if path not in known:
            return self.send(404, b"", X_Error_Code="EntryNotFound")
        content = known[path]
        etag = hashlib.sha256(content).hexdigest()
        return self.send(200, content, ETag=f'"{etag}"', X_Repo_Commit=self.server.commits[repo])


REPO = r"([\w.-]+/[\w.-]+)"
ROUTES = {
    "POST /api/repos/create": "create",
    "POST /api/validate-yaml": "validate",
    rf"POST /api/models/{REPO}/preupload/main": "preupload",
    rf"POST /{REPO}\.git/info/lfs/objects/batch": "batch",
    "PUT /lfs/([0-9a-f]{64})": "store",
    rf"POST /api/models/{REPO}/commit/(main)": "commit",
    rf"GET /{REPO}/resolve/([\w.-]+)/(.+)": "file",
    rf"HEAD /{REPO}/resolve/([\w.-]+)/(.+)": "file",
}


@contextmanager
def running_hub():
    """Yield a server with its `address`, `repos` (name to files), `commits` and `requests`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.address = f"http://127.0.0.1:{server.server_port}"
        server.repos, server.commits, server.objects, server.requests = {}, {}, {}, []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
