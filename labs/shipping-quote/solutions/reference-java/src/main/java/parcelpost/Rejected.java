package parcelpost;

/** The request can't be priced, and the caller can repair it. */
final class Rejected extends RuntimeException {
  final String code;

  Rejected(String code, String message) {
    super(message);
    this.code = code;
  }
}
