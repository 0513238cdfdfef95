package conformance;

import com.amazonaws.services.lambda.runtime.ClientContext;
import com.amazonaws.services.lambda.runtime.Context;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/** Does what the event says: the fixture of the conformance table, see its README. */
public class Handler {
    private static final String IDENTITY = UUID.randomUUID().toString().replace("-", "");
    private static final AtomicLong TICKS = new AtomicLong();
    private static Thread ticker;
    private int counted;

    public Handler() throws Exception {
        String init = System.getenv().getOrDefault("INIT", "");
        int colon = init.indexOf(':');
        if (colon < 0) {
            return;
        }
        String argument = init.substring(colon + 1);
        switch (init.substring(0, colon)) {
            case "print":
                System.out.println(argument);
                break;
            case "throw":
                throw new ConformanceError(argument);
            case "exit":
                Runtime.getRuntime().halt(Integer.parseInt(argument));
                break;
            case "sleep":
                Thread.sleep((long) (Double.parseDouble(argument) * 1000));
                break;
            case "once":
                if (!Files.exists(Path.of(argument))) {
                    Files.createFile(Path.of(argument));
                    Thread.sleep(60_000);
                }
                break;
            default:
                break;
        }
    }

    public Object handleRequest(Map<String, Object> event, Context context) throws Exception {
        switch ((String) event.get("do")) {
            case "echo":
                return event.get("value");
            case "nothing":
                return null;
            case "throw":
                throw new ConformanceError((String) event.get("message"));
            case "exit":
                Runtime.getRuntime().halt(number(event, "status"));
                return null;
            case "signal":
                return signal(number(event, "number"));
            case "sleep":
                System.out.println(event.getOrDefault("say", "sleeping"));
                Thread.sleep((long) (((Number) event.get("seconds")).doubleValue() * 1000));
                return "slept";
            case "spin":
                return spin(((Number) event.get("cpu_seconds")).doubleValue());
            case "allocate":
                return allocate(number(event, "mb"));
            case "environment":
                return environment(texts(event, "names"));
            case "context":
                return context(context);
            case "print":
                return print(texts(event, "lines"), "stderr".equals(event.get("to")) ? System.err : System.out);
            case "print_bytes":
                System.out.write(Base64.getDecoder().decode((String) event.get("base64")));
                System.out.write('\n');
                System.out.flush();
                return null;
            case "count":
                return ++counted;
            case "identity":
                return IDENTITY;
            case "write":
                Files.writeString(Path.of((String) event.get("path")), (String) event.get("text"));
                return null;
            case "read":
                Path path = Path.of((String) event.get("path"));
                return Files.exists(path) ? Files.readString(path) : null;
            case "fill":
                return fill((String) event.get("path"), number(event, "mb"));
            case "big":
                return "x".repeat(number(event, "bytes"));
            case "unserialisable":
                return new Unserialisable();
            case "tick":
                return tick();
            case "now":
                return Map.of(
                    "time", System.currentTimeMillis() / 1000.0, "date", Instant.now().toEpochMilli() / 1000.0);
            case "waits":
                return waits();
            case "trace":
                return System.getProperty("com.amazonaws.xray.traceHeader");
            default:
                throw new IllegalArgumentException("no such action: " + event.get("do"));
        }
    }

    private interface Way {
        void go() throws Exception;
    }

    private static Map<String, Object> waits() throws Exception {
        var scheduler = Executors.newSingleThreadScheduledExecutor();
        var ways = new LinkedHashMap<String, Way>();
        ways.put("Thread.sleep", () -> Thread.sleep(50));
        ways.put("Object.wait", () -> {
            var monitor = new Object();
            synchronized (monitor) {
                monitor.wait(50);
            }
        });
        ways.put("Semaphore.tryAcquire", () -> new Semaphore(0).tryAcquire(50, TimeUnit.MILLISECONDS));
        ways.put("ScheduledExecutor", () -> scheduler.schedule(() -> 1, 50, TimeUnit.MILLISECONDS).get());
        ways.put("orTimeout", () -> {
            try {
                new CompletableFuture<Void>().orTimeout(50, TimeUnit.MILLISECONDS).join();
            } catch (CompletionException expected) {
                return;
            }
        });
        ways.put("parkNanos", () -> LockSupport.parkNanos(50_000_000));
        var waited = new HashMap<String, Object>();
        for (var way : ways.entrySet()) {
            long began = System.nanoTime();
            way.getValue().go();
            waited.put(way.getKey(), (System.nanoTime() - began) / 1e6);
        }
        scheduler.shutdown();
        return waited;
    }

    private static int number(Map<String, Object> event, String name) {
        return ((Number) event.get(name)).intValue();
    }

    @SuppressWarnings("unchecked")
    private static List<String> texts(Map<String, Object> event, String name) {
        return (List<String>) event.get(name);
    }

    private static Object signal(int number) throws Exception {
        new ProcessBuilder("/bin/kill", "-" + number, String.valueOf(ProcessHandle.current().pid()))
            .redirectErrorStream(true)
            .start()
            .waitFor();
        Thread.sleep(60_000);
        return null;
    }

    private static String spin(double cpuSeconds) {
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        long until = system.getProcessCpuTime() + (long) (cpuSeconds * 1e9);
        double spun = 0;
        while (system.getProcessCpuTime() < until) {
            for (int each = 0; each < 100_000; each++) {
                spun += Math.sqrt(each);
            }
        }
        return spun > 0 ? "spun" : "";
    }

    private static int allocate(int megabytes) {
        List<byte[]> held = new ArrayList<>();
        for (int each = 0; each < megabytes; each++) {
            held.add(new byte[1024 * 1024]);
        }
        return held.size();
    }

    // Amazon's serialiser leaves out what is null; an empty Optional is written as null.
    private static Map<String, Object> environment(List<String> names) {
        Map<String, Object> seen = new HashMap<>();
        names.forEach(name -> seen.put(name, Optional.ofNullable(System.getenv(name))));
        return seen;
    }

    private static Map<String, Object> context(Context context) {
        ClientContext client = context.getClientContext();
        Map<String, Object> seen = new HashMap<>();
        seen.put("function_name", context.getFunctionName());
        seen.put("function_version", context.getFunctionVersion());
        seen.put("invoked_function_arn", context.getInvokedFunctionArn());
        seen.put("memory_limit_mb", context.getMemoryLimitInMB());
        seen.put("request_id", context.getAwsRequestId());
        seen.put("log_group", context.getLogGroupName());
        seen.put("log_stream", context.getLogStreamName());
        seen.put("remaining_ms", context.getRemainingTimeInMillis());
        seen.put("custom", Optional.ofNullable(client).map(ClientContext::getCustom));
        return seen;
    }

    private static int print(List<String> lines, PrintStream stream) {
        for (String line : lines) {
            stream.print(line + "\n");
            stream.flush();
        }
        return lines.size();
    }

    private static String fill(String path, int megabytes) throws IOException {
        byte[] block = new byte[1024 * 1024];
        try (FileOutputStream file = new FileOutputStream(path)) {
            for (int each = 0; each < megabytes; each++) {
                file.write(block);
            }
        } catch (IOException full) {
            if (full.getMessage().contains("No space left")) {
                return "ENOSPC";
            }
            if (full.getMessage().contains("File too large")) {
                return "EFBIG";
            }
            throw full;
        }
        return "written";
    }

    private static synchronized long tick() {
        if (ticker == null) {
            ticker = new Thread(() -> {
                try {
                    while (true) {
                        Thread.sleep(5);
                        TICKS.incrementAndGet();
                    }
                } catch (InterruptedException stop) {
                    return;
                }
            });
            ticker.setDaemon(true);
            ticker.start();
        }
        return TICKS.get();
    }

    /** A bean that holds itself. */
    public static class Unserialisable {
        public Unserialisable getSelf() {
            return this;
        }
    }
}
