// Attacks from Go. ATTACK names one; each attempt is said as "refused: ERRNO" or "done: ...".
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

type targets struct {
	Files, Sockets   []string
	Pids             []int
	Port, Port6, UDP int
	Address, Token   string
}

var (
	target  targets
	answers = map[string]any{}
	held    []any
)

func attempt(name string, act func() error) {
	err := act()
	var number syscall.Errno
	switch {
	case err == nil:
		answers[name] = "done: it worked"
	case errors.As(err, &number):
		answers[name] = "refused: " + number.Error()
	default:
		answers[name] = "refused: " + err.Error()
	}
}

func call(number uintptr, arguments ...uintptr) func() error {
	padded := append(arguments, 0, 0, 0, 0, 0, 0)
	return func() error {
		_, _, failed := syscall.RawSyscall6(number, padded[0], padded[1], padded[2], padded[3], padded[4], padded[5])
		if failed != 0 {
			return failed
		}
		return nil
	}
}

func either(amd64, arm64 uintptr) uintptr {
	if runtime.GOARCH == "arm64" {
		return arm64
	}
	return amd64
}

func read(path string) func() error {
	return func() error {
		file, err := os.Open(path)
		if err == nil {
			_, err = file.Read(make([]byte, 64))
		}
		return err
	}
}

func list(path string) func() error { return func() error { _, err := os.ReadDir(path); return err } }

func write(path string) func() error {
	return func() error {
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = file.WriteString("x")
		}
		return err
	}
}

func dial(network, address string) func() error {
	return func() error {
		stream, err := net.DialTimeout(network, address, 2*time.Second)
		if err == nil && strings.HasPrefix(network, "udp") {
			_, err = stream.Write([]byte("x"))
		}
		return err
	}
}

func shell(line string) func() error {
	return func() error { return exec.Command("/bin/sh", "-c", line).Run() }
}

func start(line string) error {
	child := exec.Command("/bin/sh", "-c", line)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	return child.Start()
}

func count(what string, most int, act func(int) error) {
	made := 0
	answers[what] = "done: never refused"
	for ; made < most; made++ {
		if err := act(made); err != nil {
			attempt(what, func() error { return err })
			break
		}
	}
	answers["count"] = made
}

func first(directory string) string {
	all, _ := os.ReadDir(directory)
	return directory + "/" + all[0].Name()
}

var attacks = map[string]func(){
	"host_files": func() {
		for _, path := range append(target.Files, "/proc/1/root"+target.Files[0], "/etc/shadow", "/.host"+target.Files[0]) {
			attempt(path, read(path))
		}
		for _, path := range []string{"/root", "/home", "/srv", "/mnt", "/boot", "/run", "/sys"} {
			attempt(path, list(path))
		}
	},
	"writable": func() {
		for _, path := range []string{"/", "/usr", "/etc", "/dev", "/dev/shm", "/opt", "/var/lang", "/proc"} {
			attempt(path, write(path+"/planted"))
		}
	},
	"tampering": func() {
		for _, path := range []string{first("/var/task"), first("/var/runtime")} {
			attempt("write "+path, write(path))
			attempt("mode of "+path, func() error { return os.Chmod(path, 0o777) })
			attempt("remove "+path, func() error { return os.Rename(path, path+".old") })
		}
		attempt("layers", write("/opt/planted"))
	},
	"other_processes": func() {
		seen, _ := os.ReadDir("/proc")
		for _, each := range seen {
			name := each.Name()
			if name[0] >= '0' && name[0] <= '9' && name != "1" && name != fmt.Sprint(os.Getpid()) {
				answers[name] = "done: seen"
			}
		}
		for _, name := range []string{"environ", "mem", "maps"} {
			attempt(name, read("/proc/1/"+name))
		}
		for _, name := range []string{"root", "cwd", "fd"} {
			attempt(name, list("/proc/1/"+name))
		}
	},
	"kill_others": func() {
		for _, pid := range target.Pids {
			attempt(fmt.Sprint("kill ", pid), func() error { return syscall.Kill(pid, syscall.SIGKILL) })
			attempt(fmt.Sprint("group ", pid), func() error { return syscall.Kill(-pid, syscall.SIGKILL) })
		}
		for _, deadly := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT} {
			_ = syscall.Kill(1, deadly)
		}
	},
	"planted_listeners": func() {
		attempt("TCP", dial("tcp", fmt.Sprint("127.0.0.1:", target.Port)))
		attempt("TCP by another loopback address", dial("tcp", fmt.Sprint("127.0.0.2:", target.Port)))
		attempt("TCP by the machine's own address", dial("tcp", fmt.Sprint(target.Address, ":", target.Port)))
		attempt("TCP by version 6", dial("tcp", fmt.Sprint("[::1]:", target.Port6)))
		attempt("UDP by the machine's own address", dial("udp", fmt.Sprint(target.Address, ":", target.UDP)))
		attempt("abstract unix socket", dial("unix", "@"+target.Token))
		for _, path := range target.Sockets {
			attempt(path, dial("unix", path))
		}
	},
	"outside": func() {
		for name, where := range map[string][2]string{
			"metadata": {"tcp", "169.254.169.254:80"}, "task metadata": {"tcp", "169.254.170.2:80"},
			"metadata by version 6": {"tcp", "[fd00:ec2::254]:80"}, "internet": {"tcp", "192.0.2.1:443"},
			"DNS by UDP": {"udp", "192.0.2.53:53"}, "DNS by version 6": {"udp", "[2001:db8::53]:53"},
			"a name": {"tcp", "example.com:443"},
		} {
			attempt(name, dial(where[0], where[1]))
		}
	},
	"exotic_sockets": func() {
		for name, kind := range map[string][3]uintptr{
			"vsock": {40, 1, 0}, "packet": {17, 3, 3}, "algorithms": {38, 5, 0}, "express data path": {44, 3, 0},
			"raw": {2, 3, 6}, "ICMP": {2, 2, 1}, "SCTP": {2, 1, 132}, "netlink netfilter": {16, 3, 12},
		} {
			attempt(name, call(syscall.SYS_SOCKET, kind[0], kind[1], kind[2]))
		}
	},
	"fork_bomb": func() { count("forks", 5000, func(int) error { return start("exec sleep 1000") }) },
	"threads": func() {
		debug.SetMaxThreads(100000)
		made := make(chan bool)
		answers["threads"] = "refused: the runtime stops the program"
		for i := 0; i < 2000; i++ {
			go func() { runtime.LockOSThread(); made <- true; select {} }()
			<-made
		}
		answers["threads"], answers["count"] = "done: never refused", 2000
	},
	"descriptors": func() {
		count("descriptors", 100000, func(int) error {
			file, err := os.Open("/dev/null")
			held = append(held, file)
			return err
		})
	},
	"memory": func() {
		for i := 0; i < 4096; i++ {
			held = append(held, bytes.Repeat([]byte("x"), 1<<20))
		}
		answers["4 GB"] = "done: held"
	},
	"uncounted_memory": func() {
		attempt("memfd", call(either(319, 279), 0, 0))
		attempt("System V", call(either(29, 194), 0, 1<<30, 0o1600))
		attempt("message queue", call(either(68, 186), 0, 0o1600))
		attempt("/dev/shm", write("/dev/shm/x"))
	},
	"write_10_gb": func() {
		block, written := make([]byte, 1<<20), 0
		answers["10 GB"] = "done: all of it"
		for name := 0; name < 10; name++ {
			file, err := os.Create(fmt.Sprint("/tmp/", name))
			for i := 0; err == nil && i < 1024; i++ {
				if _, err = file.Write(block); err == nil {
					written++
				}
			}
			if err != nil {
				attempt("10 GB", func() error { return err })
			}
		}
		answers["count"] = written
	},
	"one_huge_file": func() {
		file, _ := os.Create("/tmp/huge")
		attempt("10 GB of holes", func() error { return file.Truncate(10 << 30) })
		attempt("a byte at 10 GB", func() error { _, err := file.WriteAt([]byte("x"), 10<<30); return err })
	},
	"inode_flood": func() {
		count("files", 2000000, func(i int) error {
			file, err := os.Create(fmt.Sprint("/tmp/", i))
			if err == nil {
				err = file.Close()
			}
			return err
		})
	},
	"print_100_mb": func() {
		line := append(bytes.Repeat([]byte("x"), 1<<20-1), '\n')
		for i := 0; i < 100; i++ {
			_, _ = os.Stdout.Write(line)
		}
	},
	"daemon": func() {
		_ = start(`trap "" TERM HUP INT; exec setsid sleep 1000`)
		_, _ = net.Dial("tcp", "127.0.0.1:4566")
		select {}
	},
	"spin": func() {
		_ = start("while :; do :; done")
		_, _ = net.Dial("tcp", "127.0.0.1:4566")
		for {
		}
	},
	"trace": func() {
		attempt("ptrace the first process", call(either(101, 117), 16, 1))
		attempt("process_vm_readv", call(either(310, 270), 1, 0, 0, 0, 0, 0))
		attempt("pidfd_getfd", call(438, 0, 0, 0))
	},
	"other_views": func() {
		attempt("mount", call(either(165, 40)))
		attempt("chroot", func() error { return syscall.Chroot("/tmp") })
		attempt("setns", call(either(308, 268)))
		attempt("unshare a user namespace", call(either(272, 97), 0x10000000))
		attempt("clone a user namespace", call(either(56, 220), 0x10000000|17))
		attempt("clone3", call(435, 0, 88))
	},
	"kernel_machinery": func() {
		for name, number := range map[string]uintptr{
			"bpf": either(321, 280), "keyctl": either(250, 219), "io_uring": 425, "userfaultfd": either(323, 282),
			"perf_event_open": either(298, 241), "reboot": either(169, 142), "syslog": either(103, 116),
		} {
			attempt(name, call(number))
		}
	},
	"set_identity": func() {
		attempt("setuid", call(either(105, 146), 0))
		attempt("setgid", call(either(106, 144), 0))
		attempt("su", shell("su -c id </dev/null"))
		attempt("a set-id program of its own",
			shell("cp /bin/sh /tmp/shell && chmod 6755 /tmp/shell && /tmp/shell -p -c 'test $(id -u) = 0'"))
	},
	"raise_limits": func() {
		for name, which := range map[string]int{"NOFILE": 7, "FSIZE": 1, "CORE": 4, "CPU": 0} {
			attempt(name, func() error { return syscall.Setrlimit(which, &syscall.Rlimit{Cur: 1 << 40, Max: 1 << 40}) })
		}
		attempt("nice", func() error { return syscall.Setpriority(0, 0, -20) })
		attempt("oom_score_adj", func() error { return os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0) })
	},
	"devices": func() {
		for _, path := range []string{"/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/kvm", "/dev/fuse", "/dev/vsock"} {
			attempt(path, read(path))
		}
		attempt("mknod", func() error { return syscall.Mknod("/tmp/disk", syscall.S_IFBLK|0o600, 8<<8) })
	},
	"kernel_settings": func() {
		for _, path := range []string{"/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/self/uid_map", "/sys/kernel/uevent_helper"} {
			attempt(path, write(path))
		}
		attempt("/proc/kcore", read("/proc/kcore"))
	},
	"links": func() {
		host := target.Files[0]
		for i, path := range []string{host, strings.Repeat("../", 20) + host[1:], "/proc/1/root" + host, "/.host" + host} {
			link := fmt.Sprint("/tmp/", i)
			_ = os.Symlink(path, link)
			attempt(path, read(link))
		}
		attempt("hard link", func() error { return os.Link(first("/var/task"), "/tmp/hard") })
	},
	"mark": func() {
		_ = os.WriteFile("/tmp/left", []byte(target.Token), 0o600)
		_, _ = net.Listen("tcp", "127.0.0.1:7777")
		answers["marked"] = "done: yes"
		say()
		select {}
	},
	"look_for_marks": func() {
		attempt("/tmp", read("/tmp/left"))
		attempt("its listener", dial("tcp", "127.0.0.1:7777"))
	},
}

func say() { text, _ := json.Marshal(answers); fmt.Println(string(text)) }

func main() {
	_ = json.Unmarshal([]byte(os.Getenv("TARGETS")), &target)
	attacks[os.Getenv("ATTACK")]()
	say()
	os.Exit(0)
}
