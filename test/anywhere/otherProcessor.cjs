// Preloaded (`node --require`): the addon says that the processor has another name, that of REPCONV_TEST_PROCESSOR.
'use strict';
const { dlopen } = process;
process.dlopen = (module, ...others) => {
  dlopen.call(process, module, ...others);
  const { info } = module.exports;
  if (info !== undefined) module.exports.info = () => ({ ...info(), model: process.env.REPCONV_TEST_PROCESSOR });
};
