/** Files of another format under the name of a state dict: each is called what it is, with what to do. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { parseSafetensors } from '../../lib/formats/safetensors.js';
import { serializeSafetensors } from '../../lib/formats/serializeSafetensors.js';
import { refuseOtherFormats } from '../../lib/formats/signature.js';
import { Conv2d, loadStateDict, saveStateDictSync, tensor, toOnnx } from '../../lib/index.js';
import { fileOf } from './malformedSafetensors.js';
import { expectRefusal, refusalOf, refusalOfAsync } from './refusal.js';

const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');

/** How a zip archive begins whose first file has this name. */
function zip(name: string): Buffer {
  const header = Buffer.alloc(30);
  header.write('PK\x03\x04', 'latin1');
  header.writeUInt16LE(name.length, 26);
  return Buffer.concat([header, Buffer.from(name), Buffer.alloc(600, 1)]);
}

function tar(name: string): Buffer {
  const header = Buffer.alloc(1024);
  header.write(name);
  header.write('ustar\x0000', 257, 'latin1');
  return header;
}

const lfs = `version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 33289748
`;
const safetensors = serializeSafetensors([['weight', tensor([1, 2, 3])]]);

/** What the message must say it is, and what to do. */
const files: readonly [name: string, bytes: Uint8Array, what: string, advice: string][] = [
  ['a pointer of Git LFS', bytesOf(lfs), 'a Git LFS pointer', 'git lfs pull'],
  ['a page', bytesOf('<!DOCTYPE html>\n<html lang="en"><head>'), 'a web page (HTML)', 'download the file itself'],
  ['a page with a mark and spaces', bytesOf('\xef\xbb\xbf\r\n <html>'), 'a web page (HTML)', 'download'],
  [
    'an error of a store',
    bytesOf('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'),
    'a web page',
    'error',
  ],
  ['a checkpoint of PyTorch', zip('RepVGG-A0-train/data.pkl'), 'a checkpoint of PyTorch (a zip', 'weights_only=True'],
  ['a module of TorchScript', zip('archive/constants.pkl'), 'a checkpoint of PyTorch (a zip', 'save_file'],
  ['an archive of NumPy', zip('conv.weight.npy'), 'an archive of NumPy arrays (.npz)', 'safetensors.numpy.save_file'],
  ['some zip archive', zip('model.safetensors'), 'a zip archive', 'unpack it'],
  ['an empty zip archive', bytesOf(`PK\x05\x06${'\0'.repeat(18)}`), 'a zip archive', 'unpack it'],
  [
    'an old checkpoint of PyTorch',
    Buffer.from('80028a0a6cfc9c46f9206aa850192e80024de9032e', 'hex'),
    'a checkpoint of PyTorch from before version 1.6',
    'weights_only=True',
  ],
  ['a pickle of protocol 2', Buffer.from('80027d71005801000000617101', 'hex'), 'pickled Python objects', 'trust'],
  ['a pickle of protocol 3', Buffer.from('80037d71005801000000617101', 'hex'), 'pickled Python objects', 'trust'],
  ['a pickle of protocol 4', Buffer.from('8004951600000000000000', 'hex'), 'pickled Python objects', 'trust'],
  ['a pickle of protocol 5', Buffer.from('8005951600000000000000', 'hex'), 'pickled Python objects', 'trust'],
  ['an array of NumPy', bytesOf("\x93NUMPY\x01\x00v\x00{'descr': '<f4'"), 'a NumPy array (.npy)', 'save_file'],
  ['a model of ours', toOnnx(new Conv2d(2, 2, 3), { inputs: { x: [1, 2, 5, 5] } }), 'an ONNX model', 'exported from'],
  [
    'a model that PyTorch exported',
    bytesOf('\x08\x08\x12\x07pytorch\x1a\x052.4.1:\x80\x01'),
    'an ONNX model',
    'checkpoint',
  ],
  ['a GGUF file', bytesOf('GGUF\x03\x00\x00\x00\x01\x00\x00\x00'), 'a GGUF file (llama.cpp)', '.safetensors'],
  ['an HDF5 file', bytesOf('\x89HDF\r\n\x1a\n\0\0\0\0'), 'an HDF5 file (Keras)', '.safetensors'],
  ['a model of TensorFlow Lite', bytesOf('\x1c\0\0\0TFL3\x14\0 \0'), 'a TensorFlow Lite model', '.safetensors'],
  ['a compressed state dict', gzipSync(safetensors), 'a compressed file (gzip', 'decompress it first'],
  ['a file of zstd', bytesOf('\x28\xb5\x2f\xfd\x24\x05\x29\0'), 'a compressed file (gzip, zstd', 'unzstd'],
  ['a tar archive', tar('model.safetensors'), 'a tar archive', 'tar -xf'],
  [
    'an index of several files',
    bytesOf('{\n  "metadata": {"total_size": 12},\n  "weight_map": {}\n}'),
    'the index of a checkpoint in several files (JSON)',
    'that it names',
  ],
  ['a configuration', bytesOf('{"architectures": ["RepVGG"]}'), 'JSON text', 'in another file'],
];

describe('a file under the wrong name', () => {
  it.each(files)('is recognized: %s', async (_, bytes, what, advice) => {
    expectRefusal(
      refusalOf(() => parseSafetensors(bytes)),
      'ERR_HEADER',
      `parseSafetensors: expects a safetensors file, got ${what}`,
      advice,
    );
    const path = join(mkdtempSync(join(tmpdir(), 'repconv-')), 'model.safetensors');
    writeFileSync(path, bytes);
    expectRefusal(await refusalOfAsync(() => loadStateDict(path)), 'ERR_HEADER', 'loadStateDict: "', what, advice);
  });

  it('is recognized before its size is judged', () => {
    const limits = { fileBytes: 100 };
    expectRefusal(
      refusalOf(() => parseSafetensors(zip('a/data.pkl'), { limits })),
      'ERR_HEADER',
      'PyTorch',
    );
  });
});

describe('a safetensors file', () => {
  it('is taken for no other, whatever the length of its header, though it be damaged behind it', () => {
    for (let length = 0; length < 200_000; length++) {
      const begin = Buffer.alloc(16, ' ');
      begin.writeBigUInt64LE(BigInt(length));
      refuseOtherFormats(begin, 'safetensors', 'test');
      refuseOtherFormats(begin.subarray(0, 8), 'safetensors', 'test');
    }
  });

  it('whose length of the header reads as the mark of another format is read', () => {
    // 1f 8b 08: the mark of gzip.
    const header = '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
    const bytes = fileOf(header.padEnd(0x088b1f, ' '), 4);
    expect([...bytes.subarray(0, 4)]).toEqual([0x1f, 0x8b, 0x08, 0]);
    expect([...parseSafetensors(bytes).tensors.keys()]).toEqual(['a']);
  });

  it('that is too short to say what it is, is called truncated', () => {
    for (const text of ['', 'PK', '<ht', '{}', 'version'])
      expectRefusal(
        refusalOf(() => parseSafetensors(bytesOf(text))),
        'ERR_TRUNCATED',
      );
  });
});

describe('a name', () => {
  it.each([
    ['model.pth', 'a checkpoint of PyTorch'],
    ['MODEL.PT', 'a checkpoint of PyTorch'],
    ['pytorch_model.bin', 'a checkpoint of PyTorch'],
    ['checkpoint.pth.tar', 'a checkpoint of PyTorch'],
    ['model.onnx', 'an ONNX model'],
    ['weights.npz', 'an archive of NumPy arrays'],
    ['model.safetensors.index.json', 'the index of a checkpoint in several files'],
    ['model.safetensors.gz', 'a compressed file'],
  ])('like %s says what the file is, to whoever would load it', async (path, what) => {
    expectRefusal(await refusalOfAsync(() => loadStateDict(path)), 'ERR_PATH', 'expects a name that ends so', what);
    expect(refusalOf(() => saveStateDictSync(path, [])).message).toMatch(/expects a name that ends so$/);
  });

  it.each(['model', 'model.SAFETENSORS', 'model.txt'])('like %s says nothing', async (path) => {
    expect((await refusalOfAsync(() => loadStateDict(path))).message).toMatch(/expects a name that ends so$/);
  });
});
