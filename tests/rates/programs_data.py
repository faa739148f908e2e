# SPDX-License-Identifier: BSD-2-Clause
"""Dialogues of databases, brokers and devices."""
import glob

from program import DEBIAN_PYTHON, program


@program("PostgreSQL", "postgresql-client postgresql", names=("Postgres",))
def postgresql(s):
    bins = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
    data, port = s.path("pg"), s.port()
    s.run(f"{bins}/initdb", "-D", data, "-A", "trust", "-U", "weft", "--no-sync", "-E", "UTF8", seconds=60)
    s.server(port, f"{bins}/postgres", "-D", data, "-p", port, "-h", "127.0.0.1", "-k", data, "-c", "fsync=off")
    to = s.tcp(port)
    for ssl in ("disable", "prefer"):
        url = f"postgresql://weft@127.0.0.1:{to}/postgres?sslmode={ssl}"
        s.run("psql", url, "-c", "create table if not exists pump (id int primary key, name text)", "-c",
              "insert into pump values (1, 'north') on conflict do nothing", "-c", "select * from pump", "-c",
              "select now()",
              seconds=20)
    s.run("psql", f"postgresql://nobody_there@127.0.0.1:{to}/postgres?sslmode=disable", "-c", "select 1", must=False)


@program("MySQL", "mariadb-client mariadb-server")
def mysql(s):
    data, port = s.path("my"), s.port()
    s.run("mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
          "--skip-test-db", seconds=90)
    s.server(port, "mariadbd", "--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1",
             f"--socket={s.path('my.sock')}", f"--pid-file={s.path('my.pid')}", "--innodb-flush-log-at-trx-commit=0",
             "--skip-name-resolve")
    to = s.tcp(port)
    base = ["mariadb", "--no-defaults", "-h", "127.0.0.1", "-P", to, "-u", "root", "--skip-ssl"]
    s.run(*base, "-e",
          "create database a; use a; create table pump (id int, name text); insert into pump values (1, 'x'); "
          "select * from pump", must=False, seconds=20)
    s.run(*base, "-e", "select version(), now()", must=False)
    s.run(*base[:-2], "somebody", "-psecret", "-e", "select 1", must=False)


@program("Redis", "redis-tools redis-server")
def redis(s):
    port = s.port()
    s.server(port, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", s.folder)
    to = s.tcp(port)
    for words in (["PING"], ["SET", "pump:3", "on"], ["GET", "pump:3"], ["LPUSH", "queue", "a", "b", "c"],
                  ["LRANGE", "queue", "0",
                  "-1"], ["INFO"], ["HSET", "h", "a", "1"], ["CONFIG", "GET", "dir"], ["EVAL", "return 1", "0"]):
        s.run("redis-cli", "-h", "127.0.0.1", "-p", to, *words)


@program("Memcached", "libmemcached-tools memcached", names=("Memcached",))
def memcached(s):
    port = s.port()
    s.server(port, "memcached", "-l", "127.0.0.1", "-p", port, "-U", "0")
    to = f"127.0.0.1:{s.tcp(port)}"
    s.write("value", "42")
    s.run("memccp", f"--servers={to}", s.path("value"), must=False)
    s.run("memccat", f"--servers={to}", "value", must=False)
    s.run("memcstat", f"--servers={to}", must=False)
    s.run("memcping", f"--servers={to}", must=False)
    s.run("memcexist", f"--servers={to}", "--binary", "value", must=False)


@program("MongoDB", "python3-pymongo", alone=True)
def mongodb(s):
    to = s.tcp()
    for options in ("", "&appname=pumps", "&directConnection=true"):
        s.run(DEBIAN_PYTHON, "-c",
              f"import pymongo\npymongo.MongoClient('mongodb://127.0.0.1:{to}/?serverSelectionTimeoutMS=800"
              f"&connectTimeoutMS=500{options}').admin.command('ping')", must=False, seconds=4)


@program("MsSQL-TDS", "freetds-bin", alone=True)
def mssql(s):
    to = s.tcp()
    for v in ("7.4", "7.3", "7.1", "5.0"):
        s.run("tsql", "-H", "127.0.0.1", "-p", to, "-U", "sa", "-P", "secret", must=False, seconds=2,
              env={"TDSVER": v})


@program("LDAP", "ldap-utils slapd")
def ldap(s):
    data, port = s.mkdir("ldap"), s.port()
    conf = s.write("slapd.conf", f"""include /etc/ldap/schema/core.schema
pidfile {s.path('pid')}
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
suffix "dc=weft,dc=example"
rootdn "cn=admin,dc=weft,dc=example"
rootpw secret
directory {data}
""")
    s.server(port, "slapd", "-d", "0", "-f", conf, "-h", f"ldap://127.0.0.1:{port}")
    url = f"ldap://127.0.0.1:{s.tcp(port)}"
    admin = ["-x", "-H", url, "-D", "cn=admin,dc=weft,dc=example", "-w", "secret"]
    s.run("ldapadd", *admin,
          text="dn: dc=weft,dc=example\nobjectClass: dcObject\nobjectClass: organization\no: weft\ndc: weft\n",
          must=False)
    s.run("ldapsearch", "-x", "-H", url, "-b", "dc=weft,dc=example", must=False)
    s.run("ldapsearch", *admin, "-b", "dc=weft,dc=example", "(&(objectClass=*)(o=we*))", must=False)
    s.run("ldapwhoami", *admin, must=False)
    s.run("ldapsearch", "-x", "-H", url, "-s", "base", "-b", "", "+", must=False)


@program("MQTT", "mosquitto-clients mosquitto")
def mqtt(s):
    port = s.port()
    s.server(port, "mosquitto", "-c", s.write("m.conf", f"listener {port} 127.0.0.1\nallow_anonymous true\n"))
    to = s.tcp(port)
    for more in ([], ["-V", "mqttv5"], ["-q", "2", "-r"]):
        s.run("mosquitto_pub", "-h", "127.0.0.1", "-p", to, "-t", "plant/pump/3", "-m", '{"on":true}', *more)
    s.run("mosquitto_sub", "-h", "127.0.0.1", "-p", to, "-t", "plant/#", "-W", "2", must=False, seconds=4)
    s.run("mosquitto_pub", "-h", "127.0.0.1", "-p", to, "-u", "anna", "-P", "secret", "-t", "plant/valve", "-m",
          "open", must=False)


@program("AMQP", "python3-qpid-proton")
def amqp(s):
    port = s.port()
    s.server(port, DEBIAN_PYTHON, "-c", f"""
from proton.handlers import MessagingHandler
from proton.reactor import Container
class S(MessagingHandler):
    def on_start(self, e): e.container.listen("127.0.0.1:{port}")
    def on_message(self, e): pass
Container(S()).run()
""")
    s.run(DEBIAN_PYTHON, "-c", f"""
from proton import Message
from proton.handlers import MessagingHandler
from proton.reactor import Container
class C(MessagingHandler):
    def on_start(self, e): self.s = e.container.create_sender("127.0.0.1:{s.tcp(port)}/queue"); self.n = 0
    def on_sendable(self, e):
        while e.sender.credit and self.n < 3: e.sender.send(Message(body="pump on")); self.n += 1
    def on_accepted(self, e): e.connection.close()
Container(C()).run()
""", must=False, seconds=5)


@program("ZeroMQ", "python3-zmq")
def zeromq(s):
    port = s.port()
    s.server(port, DEBIAN_PYTHON, "-c", f"""
import zmq
r = zmq.Context().socket(zmq.REP); r.bind("tcp://127.0.0.1:{port}")
while True: r.recv(); r.send(b"done")
""")
    s.run(DEBIAN_PYTHON, "-c", f"""
import zmq
r = zmq.Context().socket(zmq.REQ); r.linger = 0; r.connect("tcp://127.0.0.1:{s.tcp(port)}")
for t in (b"open valve 7", b"state"): r.send(t); r.recv()
""", must=False, seconds=5)


@program("Modbus", "mbpoll python3-pymodbus python3-serial-asyncio")
def modbus(s):
    port = s.port()
    s.server(port, DEBIAN_PYTHON, "-c", f"""
from pymodbus.server import StartTcpServer
from pymodbus.datastore import ModbusSlaveContext, ModbusServerContext, ModbusSequentialDataBlock as B
c = ModbusSlaveContext(di=B(0, [1] * 99), co=B(0, [1] * 99), hr=B(0, list(range(99))), ir=B(0, [17] * 99))
StartTcpServer(context=ModbusServerContext(slaves=c, single=True), address=("127.0.0.1", {port}))
""")
    to = s.tcp(port)
    base = ["mbpoll", "-m", "tcp", "-p", to, "-1", "-q"]
    for what in (["-t", "4", "-c", "8"], ["-t", "3", "-c", "2"], ["-t", "0", "-c", "5"], ["-t", "1"],
                 ["-t", "4:float", "-r", "3"]):
        s.run(*base, *what, "127.0.0.1", must=False)
    s.run(*base, "-t", "4", "-r", "1", "127.0.0.1", "17", "42", must=False)
    s.run(*base, "-t", "0", "-r", "1", "127.0.0.1", "1", must=False)


@program("COAP", "libcoap3-bin")
def coap(s):
    port = s.port(udp=True)
    s.server(port, "coap-server-notls", "-A", "127.0.0.1", "-p", port, udp=True)
    to = s.udp(port)
    for what in (["-m", "get"], ["-m", "get", "-N"]):
        s.run("coap-client-notls", *what, "-B", "2", f"coap://127.0.0.1:{to}/.well-known/core", must=False, seconds=4)
        s.run("coap-client-notls", *what, "-B", "2", f"coap://127.0.0.1:{to}/time", must=False, seconds=4)
    s.run("coap-client-notls", "-m", "put", "-e", "on", "-B", "2", f"coap://127.0.0.1:{to}/example_data", must=False,
          seconds=4)


@program("SNMP", "snmp snmpd")
def snmp(s):
    port = s.port(udp=True)
    conf = s.write("snmpd.conf", "rocommunity public 127.0.0.1\nrwcommunity private 127.0.0.1\nsysLocation here\n")
    s.server(port, "snmpd", "-f", "-C", "-c", conf, "-Lo", "-p", s.path("snmpd.pid"), f"udp:127.0.0.1:{port}",
             udp=True,
             env={"SNMP_PERSISTENT_DIR": s.folder})
    to = f"127.0.0.1:{s.udp(port)}"
    own = {"SNMP_PERSISTENT_DIR": s.folder}
    s.run("snmpget", "-v", "1", "-c", "public", to, ".1.3.6.1.2.1.1.1.0", must=False, env=own)
    s.run("snmpget", "-v", "2c", "-c", "public", to, ".1.3.6.1.2.1.1.3.0", ".1.3.6.1.2.1.1.6.0", must=False, env=own)
    s.run("snmpwalk", "-v", "2c", "-c", "public", to, ".1.3.6.1.2.1.1", must=False, env=own)
    s.run("snmpbulkget", "-v", "2c", "-c", "public", to, ".1.3.6.1.2.1.2", must=False, env=own)
    s.run("snmpset", "-v", "2c", "-c", "private", to, ".1.3.6.1.2.1.1.6.0", "s", "there", must=False, env=own)
    s.run("snmpget", "-v", "3", "-l", "noAuthNoPriv", "-u", "anna", to, ".1.3.6.1.2.1.1.1.0", must=False, env=own)
