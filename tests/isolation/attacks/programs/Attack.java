import java.io.FileOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.*;
import java.nio.channels.SocketChannel;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;

/** Attacks from Java. ATTACK names one; each attempt is said as "refused: WHY" or "done: ...". */
public final class Attack {
    interface Act { Object run() throws Throwable; }

    static final Map<String, Object> answers = new LinkedHashMap<>();
    static final List<Object> held = new ArrayList<>();

    static String target(String name) { return System.getenv("TARGET_" + name); }

    static void attempt(String name, Act act) {
        try {
            answers.put(name, "done: " + act.run());
        } catch (Throwable error) {
            answers.put(name, "refused: " + error.getClass().getSimpleName());
        }
    }

    static Object read(String path) throws IOException {
        try (var in = Files.newInputStream(Path.of(path))) { return in.read(); }
    }

    static Object append(String path) throws IOException {
        return Files.write(Path.of(path), new byte[] {120}, StandardOpenOption.APPEND, StandardOpenOption.CREATE);
    }

    static Object list(String path) throws IOException {
        try (var all = Files.list(Path.of(path))) { return all.count(); }
    }

    static Object connect(String host, int port) throws IOException {
        try (var socket = new Socket()) { socket.connect(new InetSocketAddress(host, port), 2000); return true; }
    }

    static Object datagram(String host, int port) throws IOException {
        try (var socket = new DatagramSocket()) {
            socket.send(new DatagramPacket(new byte[] {120}, 1, InetAddress.getByName(host), port));
            return true;
        }
    }

    static Object shell(String line) throws Exception {
        var process = new ProcessBuilder("/bin/sh", "-c", line).redirectErrorStream(true).start();
        process.getInputStream().readAllBytes();
        if (process.waitFor() != 0) throw new SecurityException(line);
        return true;
    }

    static void spawn(String line) throws IOException { held.add(new ProcessBuilder("/bin/sh", "-c", line).inheritIO().start()); }

    static String first(String directory) throws IOException {
        try (var all = Files.list(Path.of(directory))) { return all.findFirst().get().toString(); }
    }

    static void say() {
        System.out.println(answers.entrySet().stream()
            .map(each -> '"' + each.getKey() + "\": " + (each.getValue() instanceof Number ? each.getValue()
                : '"' + each.getValue().toString().replaceAll("[\"\\\\\\p{Cntrl}]", "'") + '"'))
            .collect(Collectors.joining(", ", "{", "}")));
        System.out.flush();
    }

    public static void main(String[] arguments) throws Throwable {
        String file = target("FILE");
        switch (System.getenv("ATTACK")) {
            case "host_files" -> {
                for (var path : List.of(file, "/etc/shadow", "/proc/1/root" + file, "/.host" + file)) attempt(path, () -> read(path));
                for (var path : List.of("/root", "/home", "/srv", "/mnt", "/boot", "/run", "/sys")) attempt(path, () -> list(path));
            }
            case "writable" -> {
                for (var path : List.of("/", "/usr", "/etc", "/dev", "/dev/shm", "/opt", "/var/lang", "/proc"))
                    attempt(path, () -> append(path + "/planted"));
            }
            case "tampering" -> {
                var own = first("/var/task");
                attempt("code", () -> append(own));
                attempt("remove code", () -> Files.move(Path.of(own), Path.of(own + ".old")));
                attempt("layers", () -> append("/opt/planted"));
                attempt("runtime", () -> append("/var/runtime/planted"));
                attempt("Java itself", () -> append("/var/lang/lib/modules"));
            }
            case "other_processes" -> {
                long own = ProcessHandle.current().pid();
                ProcessHandle.allProcesses().map(ProcessHandle::pid).filter(pid -> pid != 1 && pid != own)
                    .forEach(pid -> answers.put("" + pid, "done: seen"));
                for (var name : List.of("environ", "mem", "maps")) attempt(name, () -> read("/proc/1/" + name));
                for (var name : List.of("root", "cwd", "fd")) attempt(name, () -> list("/proc/1/" + name));
            }
            case "kill_others" -> {
                for (var pid : target("PIDS").split(",")) attempt("kill " + pid, () -> shell("kill -9 " + pid));
                for (var number : List.of("9", "15", "2")) try { shell("kill -" + number + " 1"); } catch (SecurityException ignored) { }
            }
            case "planted_listeners" -> {
                int port = Integer.parseInt(target("PORT"));
                attempt("TCP", () -> connect("127.0.0.1", port));
                attempt("TCP by another loopback address", () -> connect("127.0.0.2", port));
                attempt("TCP by the machine's own address", () -> connect(target("ADDRESS"), port));
                attempt("TCP by version 6", () -> connect("::1", Integer.parseInt(target("PORT6"))));
                attempt("UDP by the machine's own address", () -> datagram(target("ADDRESS"), Integer.parseInt(target("UDP"))));
                attempt("unix socket", () -> SocketChannel.open(UnixDomainSocketAddress.of(target("SOCKET"))));
            }
            case "outside" -> {
                attempt("metadata", () -> connect("169.254.169.254", 80));
                attempt("task metadata", () -> connect("169.254.170.2", 80));
                attempt("metadata by version 6", () -> connect("fd00:ec2::254", 80));
                attempt("internet", () -> connect("192.0.2.1", 443));
                attempt("DNS by UDP", () -> datagram("192.0.2.53", 53));
                attempt("a name", () -> InetAddress.getByName("example.com"));
            }
            case "fork_bomb" -> {
                int made = 0;
                try {
                    for (; made < 5000; made++) spawn("exec sleep 1000");
                    answers.put("forks", "done: never refused");
                } catch (IOException | OutOfMemoryError error) {
                    answers.put("forks", "refused: " + error.getClass().getSimpleName());
                }
                answers.put("count", made);
            }
            case "threads" -> {
                int made = 0;
                try {
                    for (; made < 2000; made++) {
                        var thread = new Thread(null, () -> { try { Thread.sleep(1000000); } catch (InterruptedException ended) { } }, "", 65536);
                        thread.setDaemon(true);
                        thread.start();
                    }
                    answers.put("threads", "done: never refused");
                } catch (OutOfMemoryError error) {
                    answers.put("threads", "refused: OutOfMemoryError");
                }
                answers.put("count", made);
            }
            case "descriptors" -> {
                int made = 0;
                try {
                    for (; made < 100000; made++) held.add(Files.newInputStream(Path.of("/dev/null")));
                    answers.put("descriptors", "done: never refused");
                } catch (IOException error) {
                    answers.put("descriptors", "refused: " + error.getClass().getSimpleName());
                }
                answers.put("count", made);
            }
            case "memory" -> attempt("4 GB", () -> {
                for (int i = 0; i < 4096; i++) { var block = new byte[1 << 20]; Arrays.fill(block, (byte) 1); held.add(block); }
                return "held";
            });
            case "write_10_gb" -> {
                var block = new byte[1 << 20];
                long written = 0;
                answers.put("10 GB", "done: all of it");
                for (int name = 0; name < 10; name++) {
                    try (var out = new FileOutputStream("/tmp/" + name)) {
                        for (int i = 0; i < 1024; i++) { out.write(block); written++; }
                    } catch (IOException error) {
                        answers.put("10 GB", "refused: " + error.getMessage());
                    }
                }
                answers.put("count", written);
            }
            case "one_huge_file" -> {
                try (var huge = new RandomAccessFile("/tmp/huge", "rw")) {
                    attempt("10 GB of holes", () -> { huge.setLength(10L << 30); return true; });
                    attempt("a byte at 10 GB", () -> { huge.seek(10L << 30); huge.write(1); return true; });
                }
            }
            case "inode_flood" -> {
                int made = 0;
                try {
                    for (; made < 2000000; made++) Files.createFile(Path.of("/tmp/" + made));
                    answers.put("files", "done: never refused");
                } catch (IOException error) {
                    answers.put("files", "refused: " + error.getMessage());
                }
                answers.put("count", made);
            }
            case "print_100_mb" -> {
                var line = new byte[1 << 20];
                Arrays.fill(line, (byte) 'x');
                line[line.length - 1] = '\n';
                for (int i = 0; i < 100; i++) System.out.write(line);
            }
            case "daemon" -> {
                spawn("trap '' TERM HUP INT; exec setsid sleep 1000");
                new Socket("127.0.0.1", 4566);
                Thread.sleep(1000000);
            }
            case "spin" -> {
                spawn("while :; do :; done");
                new Socket("127.0.0.1", 4566);
                for (;;) { }
            }
            case "set_identity" -> {
                attempt("su", () -> shell("su -c id </dev/null"));
                attempt("a set-id program of its own", () ->
                    shell("cp /bin/sh /tmp/shell && chmod 6755 /tmp/shell && /tmp/shell -p -c 'test $(id -u) = 0'"));
            }
            case "raise_limits" -> {
                attempt("NOFILE", () -> shell("ulimit -n 1000000"));
                attempt("CORE", () -> shell("ulimit -c 1000"));
                attempt("nice", () -> shell("test $(nice -n -20 nice) = -20"));
                attempt("oom_score_adj", () -> Files.writeString(Path.of("/proc/self/oom_score_adj"), "-1000"));
            }
            case "devices" -> {
                for (var path : List.of("/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/kvm", "/dev/fuse", "/dev/vsock"))
                    attempt(path, () -> read(path));
                attempt("mknod", () -> shell("mknod /tmp/disk b 8 0"));
            }
            case "kernel_settings" -> {
                for (var path : List.of("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper"))
                    attempt(path, () -> append(path));
                attempt("/proc/kcore", () -> read("/proc/kcore"));
            }
            case "links" -> {
                for (var path : List.of(file, "../".repeat(20) + file.substring(1), "/proc/1/root" + file, "/.host" + file)) {
                    var link = Files.createSymbolicLink(Path.of("/tmp/" + held.size()), Path.of(path));
                    held.add(link);
                    attempt(path, () -> read(link.toString()));
                }
                attempt("hard link", () -> Files.createLink(Path.of("/tmp/hard"), Path.of(first("/var/task"))));
            }
            case "mark" -> {
                Files.writeString(Path.of("/tmp/left"), target("TOKEN"));
                held.add(new ServerSocket(7777));
                answers.put("marked", "done: yes");
                say();
                Thread.sleep(1000000);
            }
            case "look_for_marks" -> {
                attempt("/tmp", () -> read("/tmp/left"));
                attempt("its listener", () -> connect("127.0.0.1", 7777));
                attempt("a variable", () -> System.getenv("LEFT").length());
            }
            default -> throw new IllegalArgumentException(System.getenv("ATTACK"));
        }
        say();
        Runtime.getRuntime().halt(0);
    }
}
