/**
 * A strict reader of JSON that nobody vouches for.
 *
 * It is pulled: the caller asks for what its format wants next (an object, a list, a string, a whole number), and
 * nothing is built that was not asked for, so memory follows the caller's values and never the text. `JSON.parse` will
 * not do: of two equal keys it keeps the last, it builds whatever is there, and 1e999 becomes Infinity.
 *
 * Refused beyond JSON's grammar: equal keys in one object, lone surrogates, numbers a double cannot hold, nesting and
 * lengths beyond limits.
 */
import { type ErrorCode, printable, RepconvError } from '../errors.js';

/** Entries of an object, or items of a list, where the caller sets no limit of its own. */
const defaultMaxEntries = 1000;

/** Most entries any caller may allow: what a Set can hold. */
const mostEntries = 2 ** 24 - 1;

/** Deepest nesting any caller may allow: what the stack surely holds. */
const deepestNesting = 1000;

export class JsonReader {
  readonly #text: string;
  readonly #source: string;
  readonly #maxDepth: number;
  /** Keys and indices down to the value being read, for messages. */
  readonly #path: (string | number)[] = [];
  #at = 0;

  /** @param source how messages begin: operation, file, part of the file */
  constructor(text: string, source: string, maxDepth: number) {
    this.#text = text;
    this.#source = source;
    this.#maxDepth = Math.min(maxDepth, deepestNesting);
  }

  /**
   * Reads an object. `readValue` is called after each key and must read its value. `limit` is the name a caller knows
   * the maximum by.
   */
  object(readValue: (key: string) => void, maxEntries = defaultMaxEntries, limit?: string): void {
    this.#open('{', 'an object');
    const keys = new Set<string>();
    if (!this.#take('}')) {
      do {
        const key = this.string();
        if (keys.has(key)) throw this.#error('ERR_HEADER', `has the key "${printable(key)}" twice`);
        if (keys.size === Math.min(maxEntries, mostEntries)) throw this.#tooMany('entries', keys.size, limit);
        keys.add(key);
        this.#expect(':');
        this.#within(key, () => readValue(key));
      } while (this.#take(','));
      this.#expect('}');
    }
  }

  /** Reads a list. `readItem` is called at each item and must read it. */
  array(readItem: () => void, maxItems = defaultMaxEntries, limit?: string): void {
    this.#open('[', 'a list');
    let length = 0;
    if (!this.#take(']')) {
      do {
        if (length === maxItems) throw this.#tooMany('items', maxItems, limit);
        this.#within(length++, readItem);
      } while (this.#take(','));
      this.#expect(']');
    }
  }

  string(): string {
    this.#expect('"', 'a string');
    const start = this.#at;
    let hasEscape = false;
    for (;;) {
      const code = this.#text.charCodeAt(this.#at++);
      if (code === 0x22) break;
      if (Number.isNaN(code)) throw this.#error('ERR_HEADER', 'ends inside a string');
      if (code < 0x20)
        throw this.#error('ERR_HEADER', `has an unescaped control character in a string at character ${this.#at - 1}`);
      if (code === 0x5c) {
        hasEscape = true;
        this.#at++;
      }
    }
    return hasEscape ? this.#unescaped(start - 1) : this.#text.slice(start, this.#at - 1);
  }

  /** Reads a whole number from 0 to 2^53 − 1, written in digits only. */
  wholeNumber(): number {
    this.#skipSpace();
    const start = this.#at;
    let value = 0;
    for (let digit = this.#digit(); digit >= 0; digit = this.#digit()) {
      value = value * 10 + digit;
      if (value > Number.MAX_SAFE_INTEGER)
        throw this.#error('ERR_LIMIT', 'expects a whole number below 2^53, got a larger one');
      this.#at++;
    }
    if (this.#at === start) throw this.#unexpected('a whole number');
    if (/[.eE]/.test(this.#text.charAt(this.#at)))
      throw this.#error('ERR_HEADER', 'expects a whole number, got a fraction or a power of ten');
    if (this.#text[start] === '0' && this.#at > start + 1)
      throw this.#error('ERR_HEADER', 'expects a whole number, got one with a leading zero');
    return value;
  }

  /** Reads any value and forgets it. */
  skip(): void {
    this.#skipSpace();
    const first = this.#text[this.#at];
    if (first === '{') this.object(() => this.skip());
    else if (first === '[') this.array(() => this.skip());
    else if (first === '"') this.string();
    else this.#skipScalar();
  }

  /** Makes sure that nothing but space follows. */
  end(): void {
    this.#skipSpace();
    if (this.#at < this.#text.length) throw this.#unexpected('the end of the text');
  }

  #skipScalar(): void {
    const word = /^[-+.\w]{1,400}/.exec(this.#text.slice(this.#at, this.#at + 401))?.[0] ?? '';
    const isNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/.test(word);
    if (!isNumber && !/^(?:true|false|null)$/.test(word)) throw this.#unexpected('a value');
    if (isNumber && !Number.isFinite(Number(word)))
      throw this.#error('ERR_HEADER', 'has a number beyond the range of float64');
    this.#at += word.length;
  }

  /**
   * The string that began at `quote`. Its escapes are left to `JSON.parse`, which can do no harm with one string and
   * keeps no trail of pieces.
   */
  #unescaped(quote: number): string {
    let value: string;
    try {
      value = JSON.parse(this.#text.slice(quote, this.#at));
    } catch {
      // Without the cause, which may show what is in the file.
      throw this.#error('ERR_HEADER', `has an invalid escape in the string at character ${quote}`);
    }
    if (!value.isWellFormed())
      throw this.#error('ERR_HEADER', `has a lone surrogate in the string at character ${quote}`);
    return value;
  }

  #open(bracket: string, role: string): void {
    this.#expect(bracket, role);
    if (this.#path.length >= this.#maxDepth)
      throw this.#error('ERR_LIMIT', `expects nesting of at most ${this.#maxDepth}, got deeper (limit depth)`);
  }

  #within(step: string | number, read: () => void): void {
    this.#path.push(step);
    read();
    this.#path.pop();
  }

  #take(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #expect(character: string, role = `"${character}"`): void {
    if (!this.#take(character)) throw this.#unexpected(role);
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  /** The digit at this place, negative where there is none. */
  #digit(): number {
    const digit = this.#text.charCodeAt(this.#at) - 0x30;
    return digit <= 9 ? digit : -1;
  }

  #tooMany(things: string, most: number, limit: string | undefined): RepconvError {
    return this.#error(
      'ERR_LIMIT',
      `expects at most ${most} ${things}, got more${limit === undefined ? '' : ` (limit ${limit})`}`,
    );
  }

  #unexpected(role: string): RepconvError {
    return this.#error('ERR_HEADER', `expects ${role}, got ${this.#found()} at character ${this.#at}`);
  }

  #found(): string {
    const character = this.#text.charAt(this.#at);
    if (character === '') return 'the end of the text';
    if (character === '-') return 'a negative number';
    const kinds: readonly [RegExp, string][] = [
      [/\{/, 'an object'],
      [/\[/, 'a list'],
      [/"/, 'a string'],
      [/\d/, 'a number'],
      [/[tf]/, 'true or false'],
      [/n/, 'null'],
    ];
    return kinds.find(([kind]) => kind.test(character))?.[1] ?? `"${printable(character)}"`;
  }

  #error(code: ErrorCode, problem: string): RepconvError {
    const shown = this.#path
      .slice(0, 4)
      .map((step) => (typeof step === 'number' ? `[${step}]` : `"${printable(step)}"`));
    const where = shown.length === 0 ? '' : ` at ${shown.join(' ')}${this.#path.length > shown.length ? ' …' : ''}`;
    return new RepconvError(code, `${this.#source}${where}: ${problem}`);
  }
}
