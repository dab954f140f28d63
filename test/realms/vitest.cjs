// What tests import as `vitest`, given by Jest. (run.mjs)
'use strict';

const every = Object.assign(it, { skipIf: (isSkipped) => (isSkipped ? it.skip : it) });

module.exports = {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  /** Vitest's takes a text for when it fails, too. */
  expect: Object.assign((value) => expect(value), expect),
  it: every,
  test: every,
  vi: jest,
};
