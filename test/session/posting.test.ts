/** What goes to a Worker and back: tensors do, a session does not, and says so. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, it } from 'vitest';
import { Conv2d } from '../../lib/nn/layers/conv2d.js';
import { compileSync } from '../../lib/session/compile.js';
import { bytesOf, isIdentical } from '../../lib/tensor/compare.js';
import { type DType, dtypes } from '../../lib/tensor/dtype.js';
import { randn } from '../../lib/tensor/random.js';
import { type AnyTensor, Tensor, tensor } from '../../lib/tensor/tensor.js';
import { expectRefusal } from '../cases/refusal.js';

const session = compileSync(new Conv2d(3, 4, 3), { inputs: { x: ['N', 3, 5, 5] } });

describe('a session', () => {
  const refusal = [
    'ERR_UNSUPPORTED',
    'session: cannot be copied, nor posted to a Worker: it belongs to the thread that compiled it. Compile the model in each Worker, or post the inputs to this thread',
  ] as const;

  it('cannot be posted, bare or inside of something, or handed to a new Worker', () => {
    const { port1 } = new MessageChannel();
    for (const message of [session, { session }, [1, [session]], new Map([['session', session]])]) {
      expectRefusal(() => port1.postMessage(message), ...refusal);
      expectRefusal(() => structuredClone(message), ...refusal);
      expectRefusal(() => new Worker('', { eval: true, workerData: message }), ...refusal);
    }
    port1.close();
    // It is as it was.
    expect(session.runSync(randn([1, 3, 5, 5])).output.shape).toEqual([1, 4, 3, 3]);
  });

  it('cannot be spread: the object that would be made could do nothing', () => {
    expectRefusal(() => ({ ...session }), ...refusal);
    expectRefusal(() => Object.assign({}, session), ...refusal);
  });
});

describe('a tensor', () => {
  const echo = new Worker(
    `const { parentPort } = require('node:worker_threads');
     parentPort.on('message', (message) => parentPort.postMessage(message, [message.data.buffer]));`,
    { eval: true },
  );
  afterAll(() => echo.terminate());

  /** What comes back. */
  async function echoed(given: AnyTensor, transfer: ArrayBuffer[] = []): Promise<AnyTensor> {
    echo.postMessage(given, transfer);
    const [message] = (await once(echo, 'message')) as [AnyTensor];
    return message;
  }

  it.each(Object.keys(dtypes) as DType[])('of %s that went to a Worker and back is one again', async (dtype) => {
    const sent = new Tensor(dtype, [2, 4]);
    (sent.data as Uint8Array).fill(...([dtype.endsWith('int64') ? 3n : 3] as unknown as [number]));
    const posted = await echoed(sent);
    expect(posted).not.toBeInstanceOf(Tensor);
    const received = new Tensor(posted.dtype, posted.shape, posted.data);
    expect([received.dtype, received.shape]).toEqual([dtype, [2, 4]]);
    expect([...bytesOf(received)]).toEqual([...bytesOf(sent)]);
    expect(sent.isIntact).toBe(true);
  });

  it('computes as the one that was sent; transferred, it is nowhere else', async () => {
    const x = randn([1, 3, 5, 5]);
    const expected = session.runSync(x).output;
    const posted = (await echoed(x, [x.data.buffer as ArrayBuffer])) as Tensor;
    expect(x.isIntact).toBe(false);
    const { output } = session.runSync(new Tensor(posted.dtype, posted.shape, posted.data));
    expect(isIdentical(output, expected)).toBe(true);
  });

  it('is not one before it is made one, and a run says what to do', async () => {
    const posted = (await echoed(tensor([1, 2, 3]))) as Tensor;
    for (const inputs of [posted, { x: posted }])
      expectRefusal(
        () => session.runSync(inputs),
        'ERR_INPUT',
        'runSync: input x expects a Tensor, got one that was posted: new Tensor(dtype, shape, data) makes it one again',
      );
  });
});
