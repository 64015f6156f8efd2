# SPDX-License-Identifier: Apache-2.0
"""`culvert shell` and what it makes of a site: as scripts, and on a terminal."""

import os
import re
import socket
import stat

import pexpect
import pytest

from tests.controlplane.daemon.conftest import SITE, Daemon


@pytest.fixture
def daemon(build, tmp_path):
    daemon = Daemon(build, tmp_path).start()
    yield daemon
    daemon.stop()


@pytest.fixture
def site(daemon):
    """With a first revision."""
    daemon.json("apply", daemon.site, "--author", "ann")
    return daemon


def script(daemon, text, **kwargs):
    return daemon.culvert("shell", input=text, **kwargs)


def done(daemon, text, **kwargs):
    result = script(daemon, text, **kwargs)
    assert result.returncode == 0, result
    return result.stdout


# ---- scripts ----


def test_a_site_from_nothing(daemon):
    out = done(
        daemon,
        """\
        # what a newcomer types
        configure
        set site lab
        set pools web backends a address 10.0.0.11
        set vips web address 192.0.2.10
        set vips web ports [80, 443]
        edit vips web
        set pool web
        top
        set interfaces eth1
        set dns.listen [192.0.2.53, '2001:db8::53']
        compare
        commit comment "the first"
        exit
        get vips.web.ports
        """,
    )
    assert "+ pools.web" in out and "revision 1: " in out and out.endswith("[80, 443]\n")
    (revision,) = daemon.json("history")["revisions"]
    assert revision["comment"] == "the first"
    assert daemon.json("get", "dns.listen")["value"] == ["192.0.2.53", "2001:db8::53"]
    assert daemon.json("get", "interfaces.eth1")["value"]["driver"] == "xdp"


def test_change_and_delete(site):
    out = done(
        site,
        """\
        configure
        set pools web backends b weight 70
        delete pools web backends a
        show pools web backends
        commit
        """,
    )
    assert "b:\n" in out and "weight: 70" in out and "a:\n" not in out
    diff = [one["path"] for one in site.json("history", "2")["diff"]]
    assert diff == ["pools.web.backends.a", "pools.web.backends.b.weight"]


def test_comments_stay(site):
    """Through load, set and save; zone files are found beside the file that was loaded."""
    text = "# ours\n" + SITE.replace("vips:", "# the front\nvips:")
    site.write(text)
    saved = os.path.join(site.folder, "saved.yaml")
    done(
        site,
        f"""\
        configure
        load {site.site}
        set vips web ports [80, 443]
        commit
        save {saved}
        exit
        """,
    )
    with open(saved) as file:
        assert file.read() == text.replace("[80]", "[80, 443]")
    assert site.json("get", "vips.web.ports")["value"] == [80, 443]


def test_zone_files_stay(site, tmp_path):
    """What culvertd has is not looked for where the shell runs; a new one is."""
    done(site, "configure\nset site other\ncommit\n", cwd="/")
    assert site.json("get", "site")["value"] == "other"
    new = "configure\nset zones example.net file example.net.zone\ncommit\n"
    refused = script(site, new, cwd="/")
    assert refused.returncode == 1
    assert "zone file example.net.zone: No such file or directory" in refused.stderr
    (tmp_path / "example.net.zone").write_text(
        "$ORIGIN example.net.\n@ 300 SOA ns1 hostmaster 1 7200 900 1209600 300\n@ 300 NS ns1.example.com.\n"
    )
    done(site, new, cwd=tmp_path)
    done(site, "configure\nrollback 1\ncommit\n", cwd="/")
    assert site.json("get", "zones")["value"].keys() == {"example.com"}
    files = site.talk(b"GET /v1/revisions/3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert re.search(rb'"files":{"example.com.zone":"[0-9a-f]{64}","example.net.zone":"[0-9a-f]{64}"}', files)


def test_stops_at_the_first_error(site):
    result = script(site, "configure\nset pool web\nset site other\ncommit\n")
    assert result.returncode == 1
    assert result.stderr == (
        'culvert: "pool" is not known (did you mean "pools"?)\nculvert: stopped at line 2\n'
    )
    assert site.json("get", "site")["value"] == "lab"


@pytest.mark.parametrize(
    "line, problem",
    [
        ("set dns udp-size many", "dns.udp-size: "),
        ("set dns udp-size", "a value is missing behind udp-size"),
        ("set dns.udp-size.x 5", "udp-size takes a value and has nothing below it"),
        ("set vips web ports [80", "[80 is no value"),
        ("delete pools nothing", "pools.nothing: it is not there"),
        ("delete pools web drain 5s", "delete takes a path and no value, not `5s`"),
        ("edit site", "site has nothing below it"),
        ('set site "x', "a quote is not closed"),
        ("stats", "no such command: `stats`"),
        ("status", "no such command here: `run status` does it"),
        ("commt", "did you mean `commit`?"),
        ("rollback 77", "there is no such revision"),
        ("rollback x", "a revision is a number"),
        ("load /nowhere", "/nowhere: no such file"),
        ("commit now", "usage: commit"),
        ("exit now", "usage: exit [discard]"),
        ("shell", "run shell"),
        ("run shell", "this is the shell"),
        ("up down", "usage: up"),
        ("set", "usage: set"),
    ],
)
def test_errors(site, line, problem):
    result = script(site, f"configure\n{line}\n")
    assert result.returncode == 1 and problem in result.stderr, result


def test_invalid_candidate_is_not_committed(site):
    result = script(site, "configure\ndelete pools web backends\nset vips web pool nothing\ncommit\n")
    assert result.returncode == 1 and "candidate:" in result.stderr and "vips.web.pool" in result.stderr
    assert len(site.json("history")["revisions"]) == 1


def test_uncommitted_changes_end_a_script_with_an_error(site):
    result = script(site, "configure\nset site other\n")
    assert result.returncode == 1 and "the candidate has changes" in result.stderr
    done(site, "configure\nset site other\nexit discard\n")
    done(site, "configure\nset site other\ndiscard\nexit\n")


def test_somebody_was_quicker(site):
    """The first commands of the second shell are answered before the first one's commit."""
    with pexpect_shell(site) as slow:
        slow.command("configure")
        slow.command("set site slow")
        site.json("set", "pools.web.drain", "5s", "--author", "bob")
        refused = slow.command("commit")
        assert "the current revision is 2, not 1" in refused
        assert "revision 2 was made meanwhile, by bob: `compare` shows" in refused
        assert "pools.web.drain" in slow.command("compare")
        slow.command("rollback 0")
        slow.command("set site slow")
        assert "revision 3: 1 change" in slow.command("commit")
        site.json("set", "pools.web.drain", "6s")
        slow.command("set site slower")
        assert "revision 5: " in slow.command("commit force")


def test_commit_confirm(site):
    out = done(site, "configure\nset site other\ncommit confirm 5\nconfirm\n")
    assert "taken back at" in out and "revision 2 stays" in out


def test_one_shot(site):
    assert "~ pools.web.drain: 1m -> 5s" in site.culvert("set", "pools.web.drain", "5s").stdout
    words = ["pools", "web", "backends", "c", "address", "10.0.0.13"]
    assert site.culvert("set", *words, "--comment", "more").returncode == 0
    assert "- pools.web.backends.c" in site.culvert("delete", "pools.web.backends.c", "-n").stdout
    assert site.culvert("delete", "pools.web.backends.c").returncode == 0
    wrong = site.culvert("set", "pools.web.dran", "5s")
    assert wrong.returncode == 1
    assert wrong.stderr == 'culvert: "dran" is not known in pools.web (did you mean "drain"?)\n'
    assert site.culvert("delete", "pools.web.drain", "5s").returncode == 2
    assert site.culvert("set", "zones.example.com.records.mail.A", "192.0.2.9").returncode == 0
    assert site.json("get", "zones.example.com.records")["value"] == {"mail": {"A": "192.0.2.9"}}


# ---- on a terminal ----


PROMPT = re.escape(socket.gethostname()) + r"[^\r\n]*?[#>] $"


class Terminal:
    """A shell that somebody types into."""

    def __init__(self, daemon, **environment):
        self.home = os.path.join(daemon.folder, "home")
        os.makedirs(self.home, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CULVERT_")}
        self.child = pexpect.spawn(
            daemon.client,
            ["shell"],
            env={**kept, "CULVERT_SOCKET": daemon.path, "HOME": self.home, "TERM": "xterm", **environment},
            encoding="utf-8",
            timeout=20,
            dimensions=(24, 160),
            cwd=daemon.folder,
        )
        self.child.delaybeforesend = None
        self.prompt()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.child.close(force=True)

    def prompt(self):
        """Waits for a prompt; what came before it."""
        self.child.expect(PROMPT)
        self.shown = self.child.after
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.child.before)

    def command(self, line):
        self.child.send(line + "\r")
        self.child.expect("\r\n")
        return self.prompt()


def pexpect_shell(daemon, **environment):
    return Terminal(daemon, **environment)


def test_prompts(site):
    with pexpect_shell(site) as shell:
        assert shell.shown.endswith("> ")
        assert "site       lab on" in shell.command("status")
        assert "a candidate of revision 1" in shell.command("configure")
        assert shell.shown.endswith(" # ")
        shell.command("edit pools web")
        assert shell.shown.endswith(" pools.web # ")
        shell.command("set drain 5s")
        assert shell.shown.endswith(" pools.web *# ")
        assert "~ pools.web.drain: 1m -> 5s" in shell.command("compare")
        assert "revision 2: 1 change" in shell.command("commit")
        assert shell.shown.endswith(" pools.web # ")
        assert "nothing was changed" in shell.command("commit")
        shell.command("exit")
        assert shell.shown.endswith("> ")
        shell.child.sendline("exit")
        shell.child.expect(pexpect.EOF)


def test_leaving_with_changes_asks(site):
    with pexpect_shell(site) as shell:
        shell.command("configure")
        shell.command("set site other")
        shell.child.send("exit\r")
        shell.child.expect(r"Leave and lose them\? \[y/N\] ")
        shell.child.send("n\r")
        shell.prompt()
        assert shell.shown.endswith(" *# ")
        shell.child.send("\x04")
        shell.child.expect(r"Leave and lose them\? \[y/N\] ")
        shell.child.send("y\r")
        shell.prompt()
        assert shell.shown.endswith("> ")
        shell.child.send("\x04")
        shell.child.expect(pexpect.EOF)


def test_tab(site):
    with pexpect_shell(site) as shell:
        shell.command("configure")
        shell.child.send("set po\tw\tback\tb\twe\t70\r")
        shell.prompt()
        assert "weight: 70" in shell.command("show pools web backends b")
        shell.child.send("set vips new mode \t")
        shell.child.expect("dsr-ipip\r\n +dsr-l2\r\n +nat\r\n")
        shell.child.expect("set vips new mode ")
        shell.child.send("na\t\r")
        shell.prompt()
        assert "mode: nat" in shell.command("show vips new")
        shell.child.send("load exam\t\x15")
        shell.child.expect(r"ple\.com\.zone ")
        shell.child.send("\r")
        shell.prompt()
        shell.child.send("run sta\t\r")
        assert "site       lab on" in shell.prompt()


def test_question_mark(site):
    with pexpect_shell(site) as shell:
        shell.child.send("co?")
        shell.child.expect("configure +change a candidate")
        shell.child.expect("counters +packets and bytes")
        shell.child.send("\x15configure\rset pools web ?")
        shell.child.expect("backends\r\n")
        shell.child.expect("set pools web ")
        shell.child.send('\x15set zones example.com records "@" TXT "what?"\r')
        shell.prompt()
        assert 'TXT: "what?"' in shell.command("show zones example.com records")


def test_interrupt(site):
    """Of a line, and of a command that would go on for ever; the shell stays."""
    with pexpect_shell(site) as shell:
        shell.child.send("some words\x03")
        shell.prompt()
        shell.child.send("top\r")
        shell.child.expect("no packet was counted yet")
        shell.child.send("\x03")
        shell.prompt()
        assert "site       lab on" in shell.command("status")


def test_history_is_kept(site):
    with pexpect_shell(site) as shell:
        shell.command("version")
        shell.command("node join culvert1.SECRET 10.0.0.1:7480")
    path = os.path.join(shell.home, ".culvert_history")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with open(path) as file:
        assert "SECRET" not in file.read()
    with pexpect_shell(site) as shell:
        shell.child.send("\x1b[A\r")
        assert "culvertd 0" in shell.prompt()


def test_pager(site):
    more = "-- more: space a screen, Enter a line, q ends --"
    with pexpect_shell(site) as shell:
        assert more not in shell.command("help apply")  # fits
        shell.child.send("help\r")
        shell.child.expect(more)
        assert shell.child.before.count("\n") == 24  # the line that was typed, and 23
        shell.child.send("\r")
        shell.child.expect(more)
        assert shell.child.before.count("\n") == 1
        shell.child.send(" ")
        assert "Tab completes a word" in shell.prompt()
        shell.child.send("help\r")
        shell.child.expect(more)
        shell.child.send("q")
        assert "Tab completes" not in shell.prompt()
        shell.child.send("help\r")
        shell.child.expect(more)
        shell.child.send("\x03")
        assert "Tab completes" not in shell.prompt()


def test_system_shell(site):
    with pexpect_shell(site, SHELL="/bin/sh", PS1="system$ ") as shell:
        shell.child.send("bash\r")
        shell.child.expect("system\\$ ")
        shell.child.send("exit\r")
        shell.prompt()


def test_maps_are_set_whole(daemon):
    lines = (
        "configure",
        "set site lab",
        "set pools.web {backends: {one: {address: 10.0.0.11}}}",
        "set vips web {address: 192.0.2.10, protocol: tcp, ports: [80], mode: dsr-ipip, pool: web}",
        "set zones example.net soa {mname: ns1.example.net., rname: hostmaster.example.net., serial: 1}",
        'set zones example.net records {"@": {NS: [ns1]}, ns1: {A: 192.0.2.53}}',
        "commit",
    )
    done(daemon, "\n".join(lines) + "\n")
    assert daemon.json("get", "vips.web")["value"]["ports"] == [80]
    assert daemon.json("get", "zones.example.net.records.ns1")["value"]["A"]
    assert daemon.culvert("set", "pools.web.backends", "{two: {address: 10.0.0.12}}").returncode == 0
    assert list(daemon.json("get", "pools.web.backends")["value"]) == ["two"]
    refused = daemon.culvert("set", "vips.web", "{adress: 192.0.2.10}")
    assert refused.returncode != 0 and "adress" in refused.stderr


# ---- setup ----


class Setup(Terminal):
    """`setup` in the shell of a culvertd that has no site."""

    def __init__(self, daemon):
        super().__init__(daemon)
        self.child.send("setup\r")

    def answer(self, question, answer):
        self.child.expect_exact(question)
        self.child.expect_exact(": ")
        self.child.send(answer + "\r")
        self.child.expect("\r\n")


def test_setup(daemon):
    with Setup(daemon) as setup:
        setup.answer("Join a site that is there already?", "")
        setup.answer("The site's name", "no name")
        setup.child.expect("site: .*letters, digits")
        setup.answer("The site's name", "first")
        if setup.child.expect(["The NIC that you manage it by.*: ", "no NIC has an interface"]) == 0:
            setup.child.send("none\r")
            setup.child.expect("there is no such interface")
            setup.answer("The NIC that you manage it by", "")
            setup.child.expect("this is no appliance")
        setup.answer("NICs that serve", "nonesuch -")
        setup.answer("The driver of nonesuch", "")
        setup.child.expect("there is no NIC nonesuch with an interface")
        setup.answer("The address that answers DNS", "somewhere")
        setup.child.expect("an address such as")
        setup.answer("The address that answers DNS", "192.0.2.53")
        setup.child.expect("listen:")
        setup.answer("Make this the site?", "y")
        assert "revision 1: " in setup.prompt()
        assert "there is a site already, of revision 1" in setup.command("setup")
    assert daemon.json("get", "site")["value"] == "first"
    assert daemon.json("get", "dns.listen")["value"] == ["192.0.2.53"]


def test_setup_outlives_a_restart_of_culvertd(daemon):
    """Which also ends a connection that is silent for as long as it takes somebody to answer."""
    with Setup(daemon) as setup:
        setup.answer("Join a site that is there already?", "")
        daemon.stop()
        daemon.start()
        setup.answer("The site's name", "first")
        if setup.child.expect(["The NIC that you manage it by.*: ", "no NIC has an interface"]) == 0:
            setup.child.send("\r")
        setup.answer("NICs that serve", "-")
        setup.answer("The address that answers DNS", "192.0.2.53")
        setup.answer("Make this the site?", "y")
        assert "revision 1: " in setup.prompt()


def test_setup_changes_nothing_without_a_yes(daemon):
    with Setup(daemon) as setup:
        setup.answer("Join a site that is there already?", "")
        setup.child.send("\x03")
        setup.prompt()
    assert daemon.culvert("setup").returncode == 2
    assert daemon.json("history")["revisions"] == []


def test_setup_joins(daemon):
    with Setup(daemon) as setup:
        setup.answer("Join a site that is there already?", "y")
        if setup.child.expect(["The NIC that you manage it by.*: ", "no NIC has an interface"]) == 0:
            setup.child.send("\r")
        setup.answer("The token", "culvert1.nonsense")
        setup.answer("The address of that node", "10.0.0.1:7480")
        assert "token" in setup.prompt()
