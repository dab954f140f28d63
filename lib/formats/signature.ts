/**
 * What a file is, by its first bytes: the one table of signatures, for every reader that is given something else than
 * it reads. A wrong name is common (a page in place of a download, a pointer in place of a large file, a checkpoint
 * that was renamed), and "the header is too long" helps nobody.
 */
import { RepconvError } from '../errors.js';

/** The first bytes of a file, as many as there are up to {@link signatureBytes}. */
interface Beginning {
  readonly bytes: Uint8Array;
  /** A character for each byte. */
  readonly text: string;
}

interface FileFormat {
  /** What a message calls it. */
  readonly what: string;
  /** What somebody who wanted another file should do. */
  readonly advice: string;
  /** How names of such files end, where that is telling. */
  readonly extensions?: readonly string[];
  /** Whether a file begins as this format does. */
  matches(beginning: Beginning): boolean;
}

/** So many bytes tell: the mark of a tar archive stands furthest behind. */
export const signatureBytes = 512;

const fromPyTorch =
  'convert it in Python: state = torch.load("it.pth", weights_only=True); safetensors.torch.save_file(state, "it.safetensors") (docs/weights.md says more)';
const fromNumPy = 'convert it in Python: safetensors.numpy.save_file(dict(numpy.load("it.npz")), "it.safetensors")';
const elsewhere = 'look for the checkpoint that its authors publish for PyTorch, as a .safetensors file';

/** The formats, those that say more before those that hold them: a checkpoint of PyTorch is a zip archive. */
const fileFormats = {
  safetensors: {
    what: 'a safetensors file',
    advice: 'load it with loadStateDict',
    extensions: ['.safetensors'],
    matches: (beginning) => isHeaderLength(beginning) && beginning.text[8] === '{',
  },
  gitLfs: {
    what: 'a Git LFS pointer, which only stands for the file',
    advice: 'fetch the file itself with "git lfs pull", or download it from the page of the repository',
    matches: beginsWith('version https://git-lfs.github.com/', 'version https://hawser.github.com/'),
  },
  html: {
    what: 'a web page (HTML)',
    advice: 'download the file itself: the address led to a page about it, a sign-in or an error',
    extensions: ['.html', '.htm'],
    matches: ({ text }) => /^(\xef\xbb\xbf)?\s*<(!doctype\s+html|html|head|\?xml|!--)/i.test(text),
  },
  shardIndex: {
    what: 'the index of a checkpoint in several files (JSON)',
    advice: 'load the .safetensors files that it names, one after the other',
    extensions: ['.index.json'],
    matches: ({ text }) => /^\s*\{/.test(text) && /"(weight_map|total_size)"/.test(text),
  },
  json: {
    what: 'JSON text',
    advice: 'the weights lie in another file, beside it',
    extensions: ['.json'],
    matches: ({ text }) => /^(\xef\xbb\xbf)?\s*[{[][\s\x20-\xff]{6}/.test(text),
  },
  pyTorch: {
    what: 'a checkpoint of PyTorch (a zip archive of pickled objects)',
    advice: fromPyTorch,
    extensions: ['.pth', '.pth.tar', '.pt', '.ckpt', '.bin'],
    matches: ({ text }) => /(^|\/)(data\.pkl|constants\.pkl|version|byteorder)$/.test(firstEntryOf(text)),
  },
  npz: {
    what: 'an archive of NumPy arrays (.npz)',
    advice: fromNumPy,
    extensions: ['.npz'],
    matches: ({ text }) => firstEntryOf(text).endsWith('.npy'),
  },
  zip: {
    what: 'a zip archive',
    advice: 'unpack it and load the .safetensors file in it',
    extensions: ['.zip'],
    matches: beginsWith('PK\x03\x04', 'PK\x05\x06'),
  },
  pyTorchLegacy: {
    what: 'a checkpoint of PyTorch from before version 1.6 (pickled objects)',
    advice: fromPyTorch,
    // Protocol 2, and the number that torch.save began with.
    matches: beginsWith('\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19'),
  },
  pickle: {
    what: 'pickled Python objects',
    advice: `load it in Python if you trust whoever made it (pickles run code), or ${fromPyTorch}`,
    extensions: ['.pkl', '.pickle'],
    // The opcode of the protocol; from 4 on, that of a frame.
    matches: (beginning) =>
      (beginsWith('\x80\x02', '\x80\x03')(beginning) && !isHeaderLength(beginning)) ||
      beginsWith('\x80\x04\x95', '\x80\x05\x95')(beginning),
  },
  npy: {
    what: 'a NumPy array (.npy)',
    advice: 'save it under its key: safetensors.numpy.save_file({"key": numpy.load("it.npy")}, "it.safetensors")',
    extensions: ['.npy'],
    matches: beginsWith('\x93NUMPY'),
  },
  onnx: {
    what: 'an ONNX model',
    advice: 'look for the checkpoint that it was exported from: weights are loaded by their keys',
    extensions: ['.onnx'],
    // Protocol Buffers: field 1, the version of the format, comes first, then a text, an operator set or the graph.
    matches: ({ bytes, text }) =>
      bytes[0] === 0x08 &&
      bytes[1] < 32 &&
      '\x12\x1a\x22\x32\x3a\x42'.includes(text[2] ?? ' ') &&
      !isHeaderLength({ bytes, text }),
  },
  gguf: {
    what: 'a GGUF file (llama.cpp)',
    advice: elsewhere,
    extensions: ['.gguf'],
    matches: beginsWith('GGUF', 'FUGG', 'lmgg', 'tjgg'),
  },
  hdf5: {
    what: 'an HDF5 file (Keras)',
    advice: elsewhere,
    extensions: ['.h5', '.hdf5', '.keras'],
    matches: beginsWith('\x89HDF\r\n\x1a\n'),
  },
  tflite: {
    what: 'a TensorFlow Lite model',
    advice: elsewhere,
    extensions: ['.tflite'],
    matches: ({ text }) => text.startsWith('TFL3', 4),
  },
  compressed: {
    what: 'a compressed file (gzip, zstd, xz, bzip2 or 7z)',
    advice: 'decompress it first, with gunzip, unzstd, unxz, bunzip2 or 7z x',
    extensions: ['.gz', '.tgz', '.zst', '.xz', '.bz2', '.7z'],
    matches: beginsWith('\x1f\x8b\x08', '\x28\xb5\x2f\xfd', '\xfd7zXZ\0', 'BZh', '7z\xbc\xaf\x27\x1c'),
  },
  tar: {
    what: 'a tar archive',
    advice: 'unpack it with tar -xf and load the .safetensors file in it',
    extensions: ['.tar'],
    matches: ({ text }) => text.startsWith('ustar', 257),
  },
} as const satisfies Record<string, FileFormat>;

/** What readers can be made for. */
export type FileFormatName = keyof typeof fileFormats;

/**
 * Refuses a file that begins as one of another format does. Nothing is said of one that begins like none: its reader
 * knows better what is wrong with it.
 * @param first the file's first {@link signatureBytes}, or all it has
 * @param own the format that is to be read
 * @throws ERR_HEADER naming what it is and what to do
 */
export function refuseOtherFormats(first: Uint8Array, own: FileFormatName, source: string): void {
  const beginning = {
    bytes: first,
    text: Buffer.from(first.buffer, first.byteOffset, first.length).toString('latin1'),
  };
  if (fileFormats[own].matches(beginning)) return;
  const found: FileFormat | undefined = Object.values(fileFormats).find((format) => format.matches(beginning));
  if (found !== undefined)
    throw new RepconvError(
      'ERR_HEADER',
      `${source}: expects ${fileFormats[own].what}, got ${found.what}; ${found.advice}`,
    );
}

/** What a file with such a name probably is, and what to do with it; null for names that say nothing. */
export function adviceForName(path: string, own: FileFormatName): string | null {
  for (const format of Object.values<FileFormat>(fileFormats)) {
    const extension = format.extensions?.find((ending) => path.toLowerCase().endsWith(ending));
    if (extension !== undefined && format !== fileFormats[own])
      return `a name in ${extension} usually means ${format.what}; ${format.advice}`;
  }
  return null;
}

/**
 * Whether the first 8 bytes could be the length of a safetensors header, below 4 GiB: then two or three bytes of
 * another format are no proof, and what is damaged is called so.
 */
function isHeaderLength({ bytes }: Beginning): boolean {
  return bytes.length >= 8 && bytes.subarray(4, 8).every((byte) => byte === 0);
}

function beginsWith(...marks: readonly string[]): FileFormat['matches'] {
  return ({ text }) => marks.some((mark) => text.startsWith(mark));
}

/**
 * Name of the first file in a zip archive; empty for what is none. It stands behind 30 bytes, two of which are its
 * length.
 */
function firstEntryOf(text: string): string {
  if (!text.startsWith('PK\x03\x04')) return '';
  const length = text.charCodeAt(26) + 256 * text.charCodeAt(27);
  return text.slice(30, 30 + length);
}
