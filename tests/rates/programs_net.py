# SPDX-License-Identifier: BSD-2-Clause
"""Dialogues of mail, names, time, telephones, tunnels and terminals."""
from program import DEBIAN_PYTHON, program

MAIL = "From: anna@weft.example\r\nTo: bob@weft.example\r\nSubject: pumps\r\n\r\nPump 3 is on.\r\n"


@program("DNS", "bind9-dnsutils dnsmasq-base", short=True)
def dns(s):
    port = s.port(udp=True)
    s.server(port, "dnsmasq", "-k", "-C", "/dev/null", "-p", port, "--listen-address=127.0.0.1", "--bind-interfaces",
             "-R", "-h",
             f"--pid-file={s.path('pid')}", "-u", s.user, "--address=/weft.example/192.0.2.7",
             "--local=/weft.example/",
             "--txt-record=note.weft.example,a text", "--mx-host=weft.example,mail.weft.example,10",
             "--srv-host=_mqtt._tcp.weft.example,hub.weft.example,1883", udp=True)
    udp, tcp = s.udp(port), s.tcp(port)
    for what in ("www.weft.example", "weft.example MX", "note.weft.example TXT", "_mqtt._tcp.weft.example SRV",
                 "www.weft.example AAAA", "-x 192.0.2.7", "weft.example SOA", "absent.example"):
        s.run("dig", "@127.0.0.1", "-p", udp, "+tries=1", "+time=2", *what.split(), must=False)
    s.run("dig", "@127.0.0.1", "-p", udp, "+noedns", "+norec", "a.weft.example", must=False)
    s.run("dig", "@127.0.0.1", "-p", tcp, "+tcp", "+tries=1", "+time=2", "www.weft.example", must=False)
    s.run("dig", "@127.0.0.1", "-p", tcp, "+tcp", "+tries=1", "+time=2", "note.weft.example", "TXT", must=False)


@program("SMTP", "curl python3-aiosmtpd", names=("SMTPS",))
def smtp(s):
    port = s.port()
    s.server(port, DEBIAN_PYTHON, "-m", "aiosmtpd", "-n", "-l", f"127.0.0.1:{port}", "-c", "aiosmtpd.handlers.Sink")
    to = s.tcp(port)
    mail = s.write("mail", MAIL)
    s.run("curl", "-s", f"smtp://127.0.0.1:{to}", "--mail-from", "anna@weft.example", "--mail-rcpt",
          "bob@weft.example", "-T", mail)
    s.run(DEBIAN_PYTHON, "-c", "import smtplib\n"
          f"with smtplib.SMTP('127.0.0.1', {to}, local_hostname='a.example') as c:\n"
          f"    c.sendmail('a@b.example', 'c@d.example', {MAIL!r})")


def dovecot(s, port, which):
    s.mkdir("mail/new")
    s.mkdir("mail/cur")
    s.mkdir("mail/tmp")
    s.write("mail/new/1.a", MAIL)
    group = s.run("id", "-gn").strip()
    conf = s.write("dovecot.conf", f"""base_dir = {s.path('run')}
state_dir = {s.path('state')}
log_path = {s.path('dovecot.log')}
default_internal_user = {s.user}
default_login_user = {s.user}
default_internal_group = {group}
protocols = {which}
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{s.path('mail')}
first_valid_uid = 1
mail_uid = {s.user}
mail_gid = {group}
passdb {{
 driver = static
 args = password=secret
}}
userdb {{
 driver = static
 args = uid={s.user} gid={group} home={s.folder}
}}
service anvil {{
 chroot =
}}
service {which}-login {{
 chroot =
 inet_listener {which} {{
  port = {port}
 }}
 inet_listener {which}s {{
  port = 0
 }}
}}
""")
    s.server(port, "dovecot", "-F", "-c", conf)


@program("IMAP", "curl dovecot-imapd", names=("IMAPS",))
def imap(s):
    port = s.port()
    dovecot(s, port, "imap")
    url = f"imap://127.0.0.1:{s.tcp(port)}/"
    s.run("curl", "-s", "-u", "anna:secret", url, must=False)
    s.run("curl", "-s", "-u", "anna:secret", url + "INBOX;MAILINDEX=1", must=False)
    s.run("curl", "-s", "-u", "anna:secret", url + "INBOX?ALL", must=False)
    s.run("curl", "-s", "-u", "anna:wrong", url, must=False, seconds=5)


@program("POP3", "curl dovecot-pop3d", names=("POPS",))
def pop3(s):
    port = s.port()
    dovecot(s, port, "pop3")
    url = f"pop3://127.0.0.1:{s.tcp(port)}/"
    s.run("curl", "-s", "-u", "anna:secret", url, must=False)
    s.run("curl", "-s", "-u", "anna:secret", url + "1", must=False)


@program("Jabber", "go-sendxmpp prosody", names=("XMPP",))
def xmpp(s):
    port = s.port()
    s.mkdir("prosody")
    conf = s.write("prosody.cfg.lua", f"""pidfile = "{s.path('pid')}"
daemonize = false
data_path = "{s.path('prosody')}"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
s2s_ports = {{ }}
modules_enabled = {{ "roster", "saslauth", "disco" }}
modules_disabled = {{ "s2s", "posix" }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
VirtualHost "weft.example"
""")
    s.run("prosodyctl", "--config", conf, "register", "anna", "weft.example", "secret", must=False)
    s.server(port, "prosody", "--config", conf)
    s.run("go-sendxmpp", "-u", "anna@weft.example", "-p", "secret", "-j", f"127.0.0.1:{s.tcp(port)}", "-n",
          "bob@weft.example",
          text="pump 3 is on\n", must=False, seconds=4)


@program("IRC", "sic ngircd")
def irc(s):
    port = s.port()
    conf = s.write("ngircd.conf",
                   f"[Global]\nName = irc.weft.example\nInfo = weft\nListen = 127.0.0.1\nPorts = {port}\n"
                   "AdminEMail = a@weft.example\n[Options]\nIdent = no\nDNS = no\nPAM = no\n")
    s.server(port, "ngircd", "-n", "-f", conf)
    s.run("sh", "-c", f"(sleep 1; echo ':j #pumps'; sleep 0.3; echo 'pump 3 is on'; sleep 0.5; echo ':q') |"
          f" sic -h 127.0.0.1 -p {s.tcp(port)} -n anna", must=False, seconds=5)


@program("NTP", "chrony")
def ntp(s):
    port = s.port(udp=True)
    conf = s.write("chrony.conf", f"port {port}\ncmdport 0\nallow 127.0.0.1\nlocal stratum 5\nbindaddress 127.0.0.1\n"
                   f"pidfile {s.path('pid')}\n")
    s.server(port, "chronyd", "-d", "-U", "-x", "-f", conf, "-u", s.user, udp=True)
    for version in ("4", "3"):
        s.run("chronyd", "-U", "-Q", "-t", "4", "-u", s.user,
              f"server 127.0.0.1 port {s.udp(port)} iburst version {version}",
              f"pidfile {s.path('pid2')}", "cmdport 0", must=False, seconds=7)


@program("SIP", "sip-tester", names=("RTP",))
def sip(s):
    port = s.port(udp=True)
    s.server(port, "sipp", "-sn", "uas", "-i", "127.0.0.1", "-p", port, "-nostdin", udp=True)
    s.run("sipp", "-sn", "uac", "-i", "127.0.0.1", "-p", s.port(udp=True), "-m", "3", "-d", "200", "-nostdin",
          f"127.0.0.1:{s.udp(port)}", must=False, seconds=8)


@program("STUN", "coturn")
def stun(s):
    port = s.port(udp=True)
    s.server(port, "turnserver", "-n", "-L", "127.0.0.1", "-p", port, "--no-cli", "--no-tls", "--no-dtls",
             "--log-file=stdout",
             "--pidfile", s.path("pid"), "-a", "-u", "anna:secret", "-r", "weft.example", "--allow-loopback-peers",
             f"--userdb={s.path('turndb')}", udp=True)
    to = s.udp(port)
    s.run("turnutils_stunclient", "-p", to, "127.0.0.1", must=False, seconds=4)
    s.run("turnutils_uclient", "-p", to, "-u", "anna", "-w", "secret", "-n", "2", "-m", "1", "-c", "-y", "127.0.0.1",
          must=False,
          seconds=6)


@program("OpenVPN", "openvpn openssl")
def openvpn(s):
    s.run("sh", "-c",
          "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.crt "
          "-subj /CN=ca -days 30 && for n in server client; do openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
          "-keyout $n.key -out $n.csr -subj /CN=$n && openssl x509 -req -in $n.csr -CA ca.crt -CAkey ca.key -CAcreateserial "
          "-days 30 -out $n.crt; done")
    for proto, server, client in (("udp", "udp4", "udp4"), ("tcp", "tcp4-server", "tcp4-client")):
        udp = proto == "udp"
        port = s.port(udp=udp)
        common = ["--dev", "null", "--ifconfig-noexec", "--route-noexec", "--ca", "ca.crt", "--verb", "1", "--cipher",
                  "AES-256-GCM", "--ping", "1"]
        s.server(port, "openvpn", "--tls-server", "--proto", server, "--local", "127.0.0.1", "--port", port, "--dh",
                 "none", "--cert",
                 "server.crt", "--key", "server.key", *common, udp=udp)
        s.run("openvpn", "--tls-client", "--remote", "127.0.0.1", s.udp(port) if udp else s.tcp(port), "--proto",
              client, "--nobind",
              "--cert", "client.crt", "--key", "client.key", *common, must=False, seconds=4)


@program("TINC", "tinc")
def tinc(s):
    port = s.port()
    for name, at in (("a", port), ("b", s.port())):
        s.write(f"{name}/tinc.conf",
                f"Name = {name}\nDeviceType = dummy\nBindToAddress = 127.0.0.1 {at}\nAddressFamily = ipv4\n" +
                ("ConnectTo = a\n" if name == "b" else ""))
        s.mkdir(f"{name}/hosts")
        s.write(f"{name}/hosts/{name}", f"Address = 127.0.0.1\nPort = {at}\n")
        s.run("tincd", "-c", s.path(name), "-K", "2048", text="\n\n\n", seconds=30, must=False)
    to = s.tcp(port)
    s.run("sh", "-c", f"cp b/hosts/b a/hosts/b; sed 's/^Port = .*/Port = {to}/' a/hosts/a > b/hosts/a")
    s.server(port, "tincd", "-D", "-c", s.path("a"), f"--pidfile={s.path('a.pid')}")
    s.run("tincd", "-D", "-c", s.path("b"), f"--pidfile={s.path('b.pid')}", must=False, seconds=3)


@program("Radius", "freeradius-utils freeradius")
def radius(s):
    port = s.port(udp=True)
    s.write("rad/dictionary", "$INCLUDE /usr/share/freeradius/dictionary\n")
    s.write("rad/radiusd.conf", f"""prefix = /usr
name = weft
confdir = {s.path('rad')}
run_dir = {s.path('rad')}
logdir = {s.path('rad')}
libdir = /usr/lib/freeradius
pidfile = {s.path('rad/pid')}
log {{
 destination = stdout
}}
security {{
 allow_core_dumps = no
}}
client here {{
 ipaddr = 127.0.0.1
 secret = secret
}}
modules {{
 pap {{
 }}
}}
server default {{
 listen {{
  type = auth
  ipaddr = 127.0.0.1
  port = {port}
 }}
 authorize {{
  update control {{
   Cleartext-Password := "secret"
  }}
  pap
 }}
 authenticate {{
  Auth-Type PAP {{
   pap
  }}
 }}
}}
""")
    s.server(port, "freeradius", "-f", "-d", s.path("rad"), "-n", "radiusd", udp=True)
    to = s.udp(port)
    for password in ("secret", "wrong"):
        s.run("radclient", "-r", "1", "-t", "2", f"127.0.0.1:{to}", "auth", "secret",
              text=f"User-Name = anna\nUser-Password = {password}\nNAS-Port = 3\n", must=False)
    s.run("radclient", "-r", "1", "-t", "1", f"127.0.0.1:{to}", "acct", "secret",
          text="User-Name = anna\nAcct-Status-Type = Start\nAcct-Session-Id = a1\n", must=False)


@program("BGP", "gobgpd")
def bgp(s):
    port = s.port()
    to = s.tcp(port)
    for name, number, at, peer, more in (("a", 64512, port, 64513, "    passive-mode = true\n"),
                                         ("b", 64513, -1, 64512, f"    remote-port = {to}\n")):
        s.write(f"{name}.conf", f"""[global.config]
  as = {number}
  router-id = "192.0.2.{number - 64511}"
  port = {at}
  local-address-list = ["127.0.0.1"]
[[neighbors]]
  [neighbors.config]
    neighbor-address = "127.0.0.1"
    peer-as = {peer}
  [neighbors.transport.config]
{more}  [neighbors.timers.config]
    connect-retry = 1
    idle-hold-time-after-reset = 1
[[neighbors.afi-safis]]
  [neighbors.afi-safis.config]
    afi-safi-name = "ipv4-unicast"
""")
    s.server(port, "gobgpd", "-f", s.path("a.conf"), "--api-hosts", f"127.0.0.1:{s.port()}")
    api = s.port()
    s.server(api, "gobgpd", "-f", s.path("b.conf"), "--api-hosts", f"127.0.0.1:{api}")
    for _ in range(12):
        s.run("sh", "-c", f"gobgp -p {api} global rib add 198.51.100.0/24; sleep 1", must=False)
        if any(len(x.segments) > 4 for x in s.sessions):
            break


@program("Telnet", "telnet inetutils-telnetd socat")
def telnet(s):
    port = s.port()
    s.server(port, "socat", f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr", "EXEC:/usr/sbin/telnetd")
    s.run("sh", "-c", f"(sleep 1; echo anna; sleep 1; echo secret; sleep 1) | telnet 127.0.0.1 {s.tcp(port)}",
          must=False, seconds=6)
    s.run("curl", "-s", "-m", "2", "-t", "TTYPE=vt100", f"telnet://127.0.0.1:{s.tcp(port)}", must=False)


@program("VNC", "vncsnapshot tigervnc-standalone-server")
def vnc(s):
    port = s.port()
    s.server(port, "Xtigervnc", f":{port}", "-rfbport", port, "-localhost", "-SecurityTypes", "None", "-geometry",
             "320x200",
             "-nolisten", "unix", "-nolisten", "tcp")
    s.run("vncsnapshot", "-allowblank", f"127.0.0.1::{s.tcp(port)}", s.path("shot.jpg"), must=False, seconds=6)


@program("RDP", "hydra", alone=True)
def rdp(s):
    to = s.tcp()
    s.run("hydra", "-l", "anna", "-p", "secret", "-t", "1", "-s", to, "127.0.0.1", "rdp", must=False, seconds=4)


@program("Whois-DAS", "whois", alone=True)
def whois(s):
    to = s.tcp(answers=((1, b"domain: weft.example\r\nstatus: active\r\n"),))
    for name in ("weft.example", "192.0.2.1"):
        s.run("whois", "-h", "127.0.0.1", "-p", to, name, must=False, seconds=2)


@program("Syslog", "bsdutils", alone=True)
def syslog(s):
    to = s.udp()
    for more in ([], ["--rfc3164"], ["-p", "auth.err", "-t", "pump"], ["--rfc5424=notime", "-p", "local3.debug"]):
        s.run("logger", "-n", "127.0.0.1", "-P", to, "-d", *more, "pump 3 is on", must=False)
    s.run("logger", "-n", "127.0.0.1", "-P", s.tcp(), "-T", "pump 3 is on", must=False)


@program("Kerberos", "krb5-user krb5-kdc krb5-admin-server")
def kerberos(s):
    port = s.port()
    conf = {"KRB5_CONFIG": s.path("krb5.conf"), "KRB5_KDC_PROFILE": s.path("kdc.conf"), "KRB5CCNAME": s.path("cc")}
    s.write("kdc.conf", f"""[kdcdefaults]
 kdc_listen = 127.0.0.1:{port}
 kdc_tcp_listen = 127.0.0.1:{port}
[realms]
 WEFT.EXAMPLE = {{
  database_name = {s.path('principal')}
  key_stash_file = {s.path('stash')}
  acl_file = /dev/null
 }}
""")
    udp, tcp = s.udp(port), s.tcp(port)
    s.write("krb5.conf",
            f"[libdefaults]\n default_realm = WEFT.EXAMPLE\n dns_lookup_kdc = false\n udp_preference_limit = 4096\n"
            f"[realms]\n WEFT.EXAMPLE = {{\n  kdc = 127.0.0.1:{udp}\n }}\n")
    s.run("kdb5_util", "create", "-s", "-P", "secret", env=conf, seconds=20)
    s.run("kadmin.local", "-q", "addprinc -pw secret anna", env=conf)
    s.server(port, "krb5kdc", "-n", "-P", s.path("pid"), env=conf)
    s.run("kinit", "anna", text="secret\n", env=conf, must=False)
    s.run("kvno", "krbtgt/WEFT.EXAMPLE", env=conf, must=False)
    s.run("kinit", "nobody", text="secret\n", env=conf, must=False)
    s.write("krb5.conf",
            f"[libdefaults]\n default_realm = WEFT.EXAMPLE\n dns_lookup_kdc = false\n udp_preference_limit = 1\n"
            f"[realms]\n WEFT.EXAMPLE = {{\n  kdc = 127.0.0.1:{tcp}\n }}\n")
    s.run("kinit", "anna", text="secret\n", env=conf, must=False)
