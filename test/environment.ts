/**
 * Before each test file: what the environment says about how much is printed, and in which colours, is none of the
 * tests' business, nor that of the processes they start, whose output they read.
 */
for (const name of ['CI', 'FORCE_COLOR', 'NO_COLOR', 'NODE_DISABLE_COLORS', 'REPCONV_DEBUG']) delete process.env[name];
