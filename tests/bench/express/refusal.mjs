/* An answer that is no success, thrown from wherever it is found out. */
export class Refusal extends Error {
  constructor(status, code) {
    super(code);
    this.status = status;
    this.code = code;
  }
}
