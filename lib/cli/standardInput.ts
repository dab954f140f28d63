/** Standard input, which commands read where they are given `-` in place of a file. */
import { RepconvError } from '../errors.js';
import { defaultSafetensorsLimits } from '../formats/safetensorsHeader.js';

/**
 * All of its bytes.
 * @throws ERR_LIMIT where there are more than a file may have, ERR_IO where it cannot be read, ERR_OOM
 */
export async function standardInput(): Promise<Uint8Array> {
  const most = defaultSafetensorsLimits.fileBytes;
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of process.stdin as AsyncIterable<Buffer>) {
      parts.push(part);
      length += part.length;
      if (length > most) throw new RepconvError('ERR_LIMIT', `standard input: expects at most ${most} bytes, got more`);
    }
    return Buffer.concat(parts);
  } catch (cause) {
    if (cause instanceof RepconvError) throw cause;
    const { message } = cause as Error;
    throw new RepconvError(cause instanceof RangeError ? 'ERR_OOM' : 'ERR_IO', `standard input: ${message}`, { cause });
  }
}
