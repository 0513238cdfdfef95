package conformance;

/** Thrown on demand. */
public class ConformanceError extends RuntimeException {
    public ConformanceError(String message) {
        super(message);
    }
}
