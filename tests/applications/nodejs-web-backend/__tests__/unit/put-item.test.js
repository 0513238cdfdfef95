const test = require("node:test");
const assert = require("node:assert");
const { putItemHandler } = require("../../src/handlers/put-item.js");

test("what is not JSON is refused", (context, done) => {
  putItemHandler({ body: "{" }, {}, (error, answer) => {
    assert.equal(answer.statusCode, 400);
    done(error);
  });
});
