# SPDX-License-Identifier: BSD-2-Clause
"""Dialogues of the web, of security layers and of files: who talks to whom, and what about."""
import os
import subprocess

from program import DEBIAN_PYTHON, program

NGINX = """daemon off; pid {d}/pid; error_log {d}/error; worker_processes 1; events {{ }}
http {{ access_log off; client_body_temp_path {d}/b; proxy_temp_path {d}/p; fastcgi_temp_path {d}/f; uwsgi_temp_path {d}/u;
 scgi_temp_path {d}/s; default_type text/html; gzip on; types {{ application/json json; image/png png; text/css css; }}
 server {{ listen 127.0.0.1:{port} {more}; root {d}/www; location /post {{ return 201 "made\\n"; }}
  location /moved {{ return 302 /; }} location /api {{ default_type application/json; return 200 '{{"id":7,"ok":true}}'; }} }} }}
"""


def pages(s):
    s.write("www/index.html",
            "<!DOCTYPE html><html><head><title>Pumps</title></head><body>" + "<p>All is well.</p>" * 40 +
            "</body></html>\n")
    s.write("www/state.json", '{"pump": 3, "pressure": 2.25, "notes": ["checked", "oiled"]}\n')
    s.write("www/style.css", "body { margin: 0; font: 12px sans-serif }\n")
    s.write("www/dot.png",
            bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478"
                                         "9c6360000002000001e221bc330000000049454e44ae426082"))


def fetch_pages(s, url):
    s.run("curl", "-s", url, url + "state.json", url + "style.css", url + "dot.png")
    s.run("curl", "-s", "-I", url)
    s.run("curl", "-s", "-H", "Range: bytes=0-99", "-H", "If-None-Match: \"a\"", url + "state.json")
    s.run("curl", "-s", url + "search?q=pump+oil&page=2&sort=name")
    s.run("curl", "-s", url + "nowhere")


@program("HTTP", "curl python3-minimal", short=True)
def http_python(s):
    pages(s)
    port = s.port()
    s.server(port, DEBIAN_PYTHON, "-m", "http.server", "-b", "127.0.0.1", port, "-d",
             s.path("www"))
    fetch_pages(s, f"http://127.0.0.1:{s.tcp(port)}/")


@program("HTTP", "curl wget nginx-light")
def http_nginx(s):
    pages(s)
    port = s.port()
    s.server(port, "nginx", "-e", s.path("error"), "-c", s.write("n.conf", NGINX.format(d=s.folder, port=port,
                                                                                        more="")))
    url = f"http://127.0.0.1:{s.tcp(port)}/"
    fetch_pages(s, url)
    s.run("curl", "-s", "-d", "name=valve&state=open", url + "post")
    s.run("curl", "-s", "-H", "Content-Type: application/json", "-d", '{"valve": 7, "open": true}', url + "post")
    s.run("curl", "-s", "-X", "PUT", "-d", "text", url + "post")
    s.run("curl", "-s", "-X", "DELETE", url + "api")
    s.run("curl", "-s", "-X", "OPTIONS", url + "api")
    s.run("curl", "-s", "-F", "file=@" + s.path("www/state.json"), url + "post")
    s.run("curl", "-s", "-L", "-b", "session=5f3a9c0d", "--compressed", url + "moved")
    s.run("wget", "-q", "-r", "-l", "1", "-P", s.path("got"), url)


@program("HTTP2", "nghttp2-client nghttp2-server", names=("HTTP",))
def http2(s):
    pages(s)
    port = s.port()
    s.server(port, "nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", s.path("www"), port)
    s.run("nghttp", "-n", f"http://127.0.0.1:{s.tcp(port)}/index.html")


@program("WebSocket", "python3-websockets", names=("HTTP",))
def websocket(s):
    port = s.port()
    s.server(port, DEBIAN_PYTHON, "-c", f"""
import asyncio, websockets
async def echo(w, *_):
    async for m in w: await w.send(m)
async def main():
    async with websockets.serve(echo, "127.0.0.1", {port}): await asyncio.Future()
asyncio.run(main())
""")
    s.run(DEBIAN_PYTHON, "-c", f"""
import asyncio, websockets
async def main():
    async with websockets.connect("ws://127.0.0.1:{s.tcp(port)}/feed") as w:
        for t in ("hello", '{{"subscribe": "pumps"}}', "a longer line of text, with a number in it: 42"):
            await w.send(t); await w.recv()
        await w.send(bytes(range(64))); await w.recv()
asyncio.run(main())
""")


def certificate(s):
    s.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
          s.path("key"), "-out", s.path("cert"), "-days", "30", "-subj", "/CN=pump.example", "-addext",
          "subjectAltName=DNS:pump.example")
    return ["-key", s.path("key"), "-cert", s.path("cert")]


@program("TLS", "openssl", names=("DTLS",), short=True)
def tls_openssl(s):
    cert = certificate(s)
    port = s.port()
    s.server(port, "openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www", *cert)
    to = f"127.0.0.1:{s.tcp(port)}"
    for version in ("-tls1_3", "-tls1_2"):
        s.run("openssl", "s_client", "-connect", to, version, "-servername", "pump.example", "-alpn", "http/1.1",
              text="GET / HTTP/1.0\r\n\r\n")


@program("TLS", "curl gnutls-bin openssl")
def tls_curl_gnutls(s):
    cert = certificate(s)
    port = s.port()
    s.server(port, "openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www", *cert)
    to = s.tcp(port)
    s.run("curl", "-s", "-k", f"https://127.0.0.1:{to}/")
    s.run("curl", "-s", "-k", "--resolve", f"pump.example:{to}:127.0.0.1", f"https://pump.example:{to}/")
    s.run("gnutls-cli", "--insecure", "-p", to, "127.0.0.1", text="GET / HTTP/1.0\r\n\r\n", must=False)


@program("DTLS", "openssl")
def dtls_openssl(s):
    cert = certificate(s)
    port = s.port(udp=True)
    s.server(port, "openssl", "s_server", "-dtls1_2", "-accept", f"127.0.0.1:{port}", *cert, udp=True,
             stdin=subprocess.PIPE)  # which stays open: s_server ends with it
    s.run("sh", "-c", f"(sleep 1; echo hello; sleep 1) | openssl s_client -dtls1_2 -connect 127.0.0.1:{s.udp(port)}",
          must=False)


@program("QUIC", "ngtcp2-client ngtcp2-server openssl")
def quic_ngtcp2(s):
    pages(s)
    certificate(s)
    port = s.port(udp=True)
    s.server(port, "gtlsserver", "-d", s.path("www"), "127.0.0.1", port, s.path("key"), s.path("cert"), udp=True)
    to = s.udp(port)
    s.run("gtlsclient", "--exit-on-all-streams-close", "--timeout=2s", "127.0.0.1", to,
          f"https://pump.example:{to}/index.html", must=False, seconds=6)


@program("SSH", "openssh-client openssh-server", short=True)
def ssh_openssh(s):
    # sshd wants the folder of its privilege separation only where it is root.
    s.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.path("host"))
    s.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.path("id"))
    port = s.port()
    conf = s.write("sshd",
                   f"Port {port}\nListenAddress 127.0.0.1\nHostKey {s.path('host')}\nPidFile {s.path('pid')}\n"
                   f"AuthorizedKeysFile {s.path('id')}.pub\nStrictModes no\nUsePAM no\n")
    s.server(port, "/usr/sbin/sshd", "-D", "-e", "-f", conf)
    to = s.tcp(port)
    options = ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={s.path('known')}", "-o", "BatchMode=yes",
               "-i",
               s.path("id"), "-F", "none"]
    s.run("ssh", *options, "-p", to, f"{s.user}@127.0.0.1", "true", must=False)
    s.run("ssh", *options, "-p", to, "-c", "aes256-gcm@openssh.com", f"{s.user}@127.0.0.1", "true", must=False)
    s.run("sftp", *options, "-P", to, "-b", "/dev/null", f"{s.user}@127.0.0.1", must=False)
    s.run("ssh-keyscan", "-p", to, "127.0.0.1", must=False)


@program("FTP_CONTROL", "lftp curl python3-pyftpdlib", names=("FTP_DATA",))
def ftp(s):
    s.write("ftp/a.txt", "a text of one line\n")
    port = s.port()
    s.server(port, DEBIAN_PYTHON, "-m", "pyftpdlib", "-i", "127.0.0.1", "-p", port, "-d", s.path("ftp"), "-w")
    to = s.tcp(port)
    s.run("lftp", "-e", "set ftp:passive-mode on; ls; cat a.txt; pwd; bye", f"ftp://anonymous:a@127.0.0.1:{to}",
          must=False)
    s.run("curl", "-s", f"ftp://127.0.0.1:{to}/a.txt", must=False)
    s.run("curl", "-s", f"ftp://127.0.0.1:{to}/", must=False)


@program("TFTP", "curl atftpd")
def tftp(s):
    s.write("tftp/boot.cfg", "label weft\n" * 100)
    port = s.port(udp=True)
    s.server(port, "atftpd", "--daemon", "--no-fork", "--port", port, "--bind-address", "127.0.0.1", s.path("tftp"),
             udp=True)
    to = s.udp(port)
    s.run("curl", "-s", f"tftp://127.0.0.1:{to}/boot.cfg", must=False)
    s.run("curl", "-s", f"tftp://127.0.0.1:{to}/absent", must=False)


@program("Git", "git")
def git(s):
    s.mkdir("repo")
    s.run("sh", "-c", "git init -q --bare srv/a.git && git init -q repo && cd repo && echo text > a && git add a && "
          "git -c user.name=a -c user.email=a@b.example commit -qm first && git push -q ../srv/a.git HEAD:main && "
          "git -C ../srv/a.git symbolic-ref HEAD refs/heads/main")
    port = s.port()
    s.server(port, "git", "daemon", "--reuseaddr", "--export-all", "--listen=127.0.0.1", f"--port={port}",
             f"--base-path={s.path('srv')}", "--enable=receive-pack")
    url = f"git://127.0.0.1:{s.tcp(port)}/a.git"
    s.run("git", "ls-remote", url)
    s.run("git", "clone", "-q", url, s.path("got"))
    s.run("sh", "-c",
          "cd got && echo more > b && git add b && git -c user.name=a -c user.email=a@b.example commit -qm second"
          " && git push -q origin HEAD:main")
    s.run("git", "-c", "protocol.version=0", "ls-remote", url)


@program("RSYNC", "rsync")
def rsync(s):
    s.write("tree/a", "text\n" * 200)
    s.write("tree/b/c", "more\n")
    port = s.port()
    conf = s.write("rsyncd.conf", f"use chroot = no\n[m]\npath = {s.path('tree')}\nread only = no\n")
    s.server(port, "rsync", "--daemon", "--no-detach", f"--port={port}", "--address=127.0.0.1", f"--config={conf}",
             f"--log-file={s.path('rsync.log')}")
    url = f"rsync://127.0.0.1:{s.tcp(port)}/"
    s.run("rsync", url, must=False)
    s.run("rsync", "-a", url + "m/", s.path("got"), must=False)
    s.run("rsync", "-a", s.path("tree") + "/a", url + "m/d", must=False)


@program("SMBv23", "smbclient python3-impacket", names=("SMBv1",))
def smb(s):
    s.write("share/a.txt", "text\n")
    port = s.port()
    s.server(port, DEBIAN_PYTHON, "-c", f"""
from impacket.smbserver import SimpleSMBServer
s = SimpleSMBServer(listenAddress="127.0.0.1", listenPort={port})
s.addShare("SHARE", {s.path('share')!r}); s.setSMB2Support(True); s.setSMBChallenge(""); s.start()
""")
    to = s.tcp(port)
    s.run("smbclient", "-s", "/dev/null", "-p", to, "-N", "//127.0.0.1/SHARE", "-c", "ls; get a.txt got.txt",
          must=False)
    s.run("smbclient", "-s", "/dev/null", "-p", to, "-N", "-m", "NT1", "-L", "127.0.0.1", must=False)


@program("SOCKS", "curl microsocks python3-minimal", names=("HTTP",))
def socks(s):
    pages(s)
    web, port = s.port(), s.port()
    s.server(web, DEBIAN_PYTHON, "-m", "http.server", "-b", "127.0.0.1", web, "-d", s.path("www"))
    s.server(port, "microsocks", "-i", "127.0.0.1", "-p", port)
    to = s.tcp(port)
    s.run("curl", "-s", "-x", f"socks5://127.0.0.1:{to}", f"http://127.0.0.1:{web}/state.json")
    s.run("curl", "-s", "-x", f"socks5h://127.0.0.1:{to}", f"http://localhost:{web}/", must=False)
    s.run("curl", "-s", "-x", f"socks4://127.0.0.1:{to}", f"http://127.0.0.1:{web}/", must=False)


@program("RTSP", "curl", alone=True)
def rtsp(s):
    to = s.tcp(answers=((1, b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY\r\n\r\n"),))
    s.run("curl", "-s", f"rtsp://127.0.0.1:{to}/cam", must=False)
    s.run("curl", "-s", "-X", "DESCRIBE", f"rtsp://127.0.0.1:{to}/cam", must=False, seconds=1)


@program("BitTorrent", "python3-libtorrent")
def bittorrent(s):
    s.write("seed/a.bin", os.urandom(200000))
    ports = s.port(), s.port()
    script = f"""
import libtorrent as lt, sys, time
fs = lt.file_storage(); lt.add_files(fs, {s.path('seed/a.bin')!r}); t = lt.create_torrent(fs, 16384)
lt.set_piece_hashes(t, {s.path('seed')!r}); info = lt.torrent_info(t.generate())
role, port, to = sys.argv[1], sys.argv[2], int(sys.argv[3])
utp = role.endswith("u")
ses = lt.session({{"listen_interfaces": "127.0.0.1:" + port, "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
  "enable_natpmp": False, "enable_outgoing_utp": utp, "enable_incoming_utp": utp, "enable_outgoing_tcp": not utp,
  "enable_incoming_tcp": not utp, "allow_multiple_connections_per_ip": True, "in_enc_policy": 2, "out_enc_policy": 2}})
h = ses.add_torrent({{"ti": info, "save_path": {s.path('seed')!r} if role[0] == "s" else {s.mkdir('got')!r}}})
end = time.time() + (60 if role[0] == "s" else 6)
while time.time() < end:
    if role[0] == "l":
        if to: h.connect_peer(("127.0.0.1", to)); to = 0
        if h.status().is_seeding: break
    time.sleep(0.1)
"""
    path = s.write("bt.py", script)
    s.server(ports[0], DEBIAN_PYTHON, path, "s", ports[0], 0)
    s.run(DEBIAN_PYTHON, path, "l", ports[1], s.tcp(ports[0]), seconds=15, must=False)
    dht = f"""
import libtorrent as lt, sys, time
ses = lt.session({{"listen_interfaces": "127.0.0.1:%s" % sys.argv[1], "enable_dht": True, "enable_lsd": False,
 "enable_upnp": False, "enable_natpmp": False, "dht_bootstrap_nodes": ""}})
if len(sys.argv) > 2: ses.add_dht_node(("127.0.0.1", int(sys.argv[2])))
time.sleep(60 if len(sys.argv) == 2 else 4)
"""
    path = s.write("dht.py", dht)
    port = s.port()
    s.server(port, DEBIAN_PYTHON, path, port, udp=True)
    s.run(DEBIAN_PYTHON, path, s.port(), s.udp(port), seconds=10, must=False)
