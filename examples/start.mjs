// What `npm start` shows: a trained network fused without a change, then the time that fusing saves.
import { bench } from '../dist/cli/bench.js';
import { runDigits } from './digits/run.mjs';

try {
  await runDigits();
  console.log('\n4  Measure two larger networks, unfused and fused (as `npx repconv bench` does, for longer)');
  await bench([], { batch: [1], precision: ['float32'], resolution: 224, seconds: 2, seed: 1 });
} catch (error) {
  console.error(`npm start: ${error.message}`);
  process.exitCode = 1;
}
