"""How Java is started for a function."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.runtimes.java.artifacts import ARCHIVE, NATIVE, locked

_CLIENT = "com.amazonaws.services.lambda.runtime.api.client"
# Lambda gives the heap 85 % of the function's memory.
_HEAP_PERCENT = 85
_NATIVE_ACCESS_NAMED_SINCE = 22
_UNSAFE_WARNS_SINCE = 24


def command(major: int, memory_mb: int, handler: str, *, sharing: Sequence[str] = ()) -> list[str]:
    """The argv, as paths seen inside. ``sharing`` are the flags about the class archive; by default: use it.

    The serial collector and the quick compiler alone are what Lambda uses as well.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/java-customization.html
    """
    flags = [
        f"-Xmx{memory_mb * 1024 * _HEAP_PERCENT // 100}k",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        *(sharing or ("-Xshare:auto", f"-XX:SharedArchiveFile=/var/runtime/{ARCHIVE}")),
        # The client makes a stream of the log's descriptor by reflection.
        "--add-opens=java.base/java.io=ALL-UNNAMED",
        # Nothing about the class archive: without it Java is slower, and that is all.
        "-Xlog:disable",
        "-Xlog:all=error:stderr",
        f"-D{_CLIENT}.runtimeapi.NativeClient.JNI=/var/runtime/lib/{NATIVE}",
    ]
    if major >= _NATIVE_ACCESS_NAMED_SINCE:
        flags.append("--enable-native-access=ALL-UNNAMED")
    if major >= _UNSAFE_WARNS_SINCE:
        flags.append("--sun-misc-unsafe-memory-access=allow")
    return [
        "/var/lang/bin/java",
        *flags,
        *("-classpath", f"/var/runtime/lib/{locked()[0].file}"),
        f"{_CLIENT}.AWSLambda",
        handler,
    ]
