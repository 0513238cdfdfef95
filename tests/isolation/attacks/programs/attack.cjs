// Attacks from Node.js. ATTACK names one; each attempt is said as "refused: CODE" or "done: ...".
"use strict";
const fs = require("fs");
const net = require("net");
const dgram = require("dgram");
const dns = require("dns");
const { spawn, spawnSync } = require("child_process");

const TARGETS = JSON.parse(process.env.TARGETS || "{}");
const refused = (error) => "refused: " + (error.code || error.name);

function attempt(act) {
  try {
    return ("done: " + act()).slice(0, 200);
  } catch (error) {
    return refused(error);
  }
}

function connect(where) {
  return new Promise((resolve) => {
    const socket = net.connect({ timeout: 2000, ...where }, () => (socket.destroy(), resolve("done: connected")));
    socket.on("error", (error) => resolve(refused(error)));
    socket.on("timeout", () => (socket.destroy(), resolve("refused: TIMEOUT")));
  });
}

function datagram(port, address, type = "udp4") {
  return new Promise((resolve) => {
    const socket = dgram.createSocket(type);
    socket.on("error", (error) => (socket.close(), resolve(refused(error))));
    socket.send("x", port, address, (error) => (socket.close(), resolve(error ? refused(error) : "done: sent")));
  });
}

async function each(attempts) {
  const answers = {};
  for (const [name, act] of Object.entries(attempts)) answers[name] = await act;
  return answers;
}

const readable = (path) => attempt(() => fs.readFileSync(path).length);
const appendable = (path) => attempt(() => fs.appendFileSync(path, "x"));
const shell = (line) => spawnSync("/bin/sh", ["-c", line]);
const named = (paths, act) => Object.fromEntries(paths.map((path) => [path, act(path)]));

const attacks = {
  host_files: () => ({
    ...named([...TARGETS.files, "/proc/1/root" + TARGETS.files[0], "/etc/shadow", "/.host" + TARGETS.files[0]], readable),
    ...named(["/root", "/home", "/srv", "/mnt", "/boot", "/run", "/sys"], (path) => attempt(() => fs.readdirSync(path))),
  }),
  writable: () =>
    named(["/", "/usr", "/etc", "/dev", "/dev/shm", "/opt", "/var/lang", "/proc"].map((path) => path + "/planted"), appendable),
  tampering: () => {
    const own = "/var/task/" + fs.readdirSync("/var/task")[0];
    const runtime = "/var/runtime/" + fs.readdirSync("/var/runtime")[0];
    return {
      code: appendable(own),
      "mode of code": attempt(() => fs.chmodSync(own, 0o777)),
      "remove code": attempt(() => fs.renameSync(own, own + ".old")),
      runtime: attempt(() => fs.renameSync(runtime, runtime + ".old")),
      layers: appendable("/opt/planted"),
      interpreter: appendable(process.execPath),
    };
  },
  other_processes: () => {
    const seen = fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name) && ![1, process.pid].includes(+name));
    return {
      ...Object.fromEntries(seen.map((pid) => [pid, "done: seen"])),
      ...named(["/proc/1/environ", "/proc/1/mem", "/proc/1/maps"], readable),
      ...named(["/proc/1/root", "/proc/1/cwd", "/proc/1/fd"], (path) => attempt(() => fs.readdirSync(path))),
    };
  },
  kill_others: () => {
    const answers = named(TARGETS.pids.map(String), (pid) => attempt(() => process.kill(+pid, "SIGKILL")));
    for (const deadly of ["SIGKILL", "SIGTERM", "SIGINT"]) attempt(() => process.kill(1, deadly));
    return answers;
  },
  planted_listeners: () =>
    each({
      TCP: connect({ host: "127.0.0.1", port: TARGETS.port }),
      "TCP by another loopback address": connect({ host: "127.0.0.2", port: TARGETS.port }),
      "TCP by the machine's own address": connect({ host: TARGETS.address, port: TARGETS.port }),
      "TCP by version 6": connect({ host: "::1", port: TARGETS.port6 }),
      "UDP by the machine's own address": datagram(TARGETS.udp, TARGETS.address),
      ...named(TARGETS.sockets, (path) => connect({ path })),
    }),
  outside: () =>
    each({
      metadata: connect({ host: "169.254.169.254", port: 80 }),
      "task metadata": connect({ host: "169.254.170.2", port: 80 }),
      "metadata by version 6": connect({ host: "fd00:ec2::254", port: 80 }),
      internet: connect({ host: "192.0.2.1", port: 443 }),
      "DNS by UDP": datagram(53, "192.0.2.53"),
      "DNS by version 6": datagram(53, "2001:db8::53", "udp6"),
      "a name": new Promise((resolve) =>
        dns.lookup("example.com", (error) => resolve(error ? refused(error) : "done: resolved"))),
    }),
  fork_bomb: async () => {
    let made = 0;
    for (; made < 5000; made++) {
      const error = await new Promise((resolve) => {
        const child = spawn("/bin/sleep", ["1000"], { stdio: "ignore" });
        child.on("error", resolve);
        child.on("spawn", () => resolve(null));
      }).catch((error) => error);
      if (error) return { count: made, forks: refused(error) };
    }
    return { count: made, forks: "done: never refused" };
  },
  descriptors: () => {
    let count = 0;
    try {
      for (; count < 100000; count++) fs.openSync("/dev/null");
    } catch (error) {
      return { count, descriptors: refused(error) };
    }
    return { count, descriptors: "done: never refused" };
  },
  memory: () => {
    const held = [];
    for (let i = 0; i < 4096; i++) held.push(Buffer.alloc(1 << 20, "x"));
    return { "4 GB": "done: held " + held.length };
  },
  write_10_gb: () => {
    process.on("SIGXFSZ", () => {});
    const block = Buffer.alloc(1 << 20, "x");
    let written = 0;
    let reason = "done: all of it";
    for (let name = 0; name < 10; name++) {
      try {
        const file = fs.openSync(`/tmp/${name}`, "w");
        for (let i = 0; i < 1024; i++) written += fs.writeSync(file, block);
      } catch (error) {
        reason = refused(error);
      }
    }
    return { count: written >> 20, "10 GB": reason };
  },
  one_huge_file: () => {
    process.on("SIGXFSZ", () => {});
    const file = fs.openSync("/tmp/huge", "w+");
    return {
      "10 GB of holes": attempt(() => fs.ftruncateSync(file, 10 * 2 ** 30)),
      "a byte at 10 GB": attempt(() => fs.writeSync(file, "x", 10 * 2 ** 30)),
    };
  },
  inode_flood: () => {
    let count = 0;
    try {
      for (; count < 2000000; count++) fs.closeSync(fs.openSync(`/tmp/${count}`, "w"));
    } catch (error) {
      return { count, files: refused(error) };
    }
    return { count, files: "done: never refused" };
  },
  print_100_mb: () => {
    const line = Buffer.alloc(1 << 20, "x");
    line[line.length - 1] = 10;
    for (let i = 0; i < 100; i++) for (let at = 0; at < line.length; ) {
      try {
        at += fs.writeSync(1, line, at);
      } catch (error) {
        if (error.code !== "EAGAIN") throw error;
      }
    }
    return {};
  },
  daemon: () => {
    spawn("/bin/sh", ["-c", 'trap "" TERM HUP INT; exec setsid sleep 1000'], { stdio: "inherit", detached: true }).on("spawn", () =>
      net.connect(4566, "127.0.0.1").on("error", () => {}));
    return new Promise(() => setInterval(() => {}, 1000));
  },
  spin: () => {
    spawn("/bin/sh", ["-c", "while :; do :; done"], { stdio: "inherit", detached: true }).on("spawn", () =>
      net.connect(4566, "127.0.0.1", () => { for (;;); }));
    return new Promise(() => {});
  },
  set_identity: () => ({
    setuid: attempt(() => process.setuid(0)),
    setgid: attempt(() => process.setgid(0)),
    setgroups: attempt(() => process.setgroups([0])),
    su: shell("su -c id </dev/null").status === 0 ? "done: su" : "refused: su",
    "a set-id program of its own": shell(
      "cp /bin/sh /tmp/shell && chmod 6755 /tmp/shell && /tmp/shell -p -c 'test $(id -u) = 0'").status === 0
      ? "done: root" : "refused: not root",
  }),
  raise_limits: () => ({
    nice: attempt(() => require("os").setPriority(-20)),
    oom_score_adj: attempt(() => fs.writeFileSync("/proc/self/oom_score_adj", "-1000")),
    NOFILE: shell("ulimit -n 1000000").status === 0 ? "done: raised" : "refused: EPERM",
    NPROC: shell("ulimit -u 1000000 || ulimit -p 1000000").status === 0 ? "done: raised" : "refused: EPERM",
    CORE: shell("ulimit -c 1000").status === 0 ? "done: raised" : "refused: EPERM",
  }),
  devices: () => ({
    ...named(["/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/kvm", "/dev/fuse", "/dev/tty", "/dev/vsock"],
      (path) => attempt(() => fs.openSync(path, "r+"))),
    mknod: shell("mknod /tmp/disk b 8 0").status === 0 ? "done: made" : "refused: EPERM",
  }),
  kernel_settings: () => ({
    ...named(["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/self/uid_map", "/sys/kernel/uevent_helper"], appendable),
    ...named(["/proc/kcore", "/proc/kmsg"], readable),
  }),
  links: () => {
    const host = TARGETS.files[0];
    const answers = {};
    const targets = { absolute: host, dots: "../".repeat(20) + host.slice(1), first: "/proc/1/root" + host,
      own: "/proc/self/root/../.." + host, host: "/.host" + host };
    for (const [name, target] of Object.entries(targets)) {
      fs.symlinkSync(target, "/tmp/" + name);
      answers[name] = readable("/tmp/" + name);
    }
    answers["hard link"] = attempt(() => fs.linkSync("/var/task/" + fs.readdirSync("/var/task")[0], "/tmp/hard"));
    return answers;
  },
  mark: () => {
    fs.writeFileSync("/tmp/left", TARGETS.token);
    net.createServer().listen(7777, "127.0.0.1", () => say({ marked: "done: yes" }));
    return new Promise(() => {});
  },
  look_for_marks: () =>
    each({ "/tmp": readable("/tmp/left"), "its listener": connect({ host: "127.0.0.1", port: 7777 }),
      "a variable": attempt(() => process.env.LEFT.length) }),
};

const say = (answers) => fs.writeSync(1, JSON.stringify(answers) + "\n");
Promise.resolve(attacks[process.env.ATTACK]()).then((answers) => (say(answers), process.exit(0)));
