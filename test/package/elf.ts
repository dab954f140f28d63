/**
 * Reads what an ELF shared library (64 bits, little-endian) asks for and offers: its dynamic symbols with the versions
 * they are bound to. As much of the format as that takes (System V ABI, chapter 4; Linux Standard Base, "Symbol
 * Versioning"), so that the test needs no binutils.
 */

export interface DynamicSymbol {
  readonly name: string;
  /** The version of the library it is taken from (`GLIBC_2.14`); empty where there is none. */
  readonly version: string;
  readonly isImported: boolean;
  /** Place of its code in the file, for a function that the library offers. */
  readonly fileOffset: number;
}

const sectionKind = { dynamicSymbols: 11, versionNeeds: 0x6ffffffe, symbolVersions: 0x6fffffff };

interface Section {
  readonly type: number;
  readonly address: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

/** The dynamic symbols of a library. @throws when the file is no 64-bit little-endian ELF */
export function dynamicSymbols(file: Buffer): DynamicSymbol[] {
  if (file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1)
    throw new Error('not a 64-bit little-endian ELF file');
  const sections = readSections(file);
  const find = (type: number): Section | undefined => sections.find((section) => section.type === type);
  const [symbols, indices] = [find(sectionKind.dynamicSymbols), find(sectionKind.symbolVersions)];
  if (symbols === undefined) throw new Error('no dynamic symbols');
  const names = sections[symbols.link];
  const versions = readVersionNeeds(file, find(sectionKind.versionNeeds), sections);
  return Array.from({ length: symbols.size / 24 }, (_, i) => {
    const at = symbols.offset + 24 * i;
    const definedIn = file.readUInt16LE(at + 6);
    const value = Number(file.readBigUInt64LE(at + 8));
    const home = sections[definedIn];
    // The top bit of a version index hides a symbol from the linker; it is not part of the number.
    const index = indices === undefined ? 0 : file.readUInt16LE(indices.offset + 2 * i) & 0x7fff;
    return {
      name: textAt(file, names.offset + file.readUInt32LE(at)),
      version: versions.get(index) ?? '',
      isImported: definedIn === 0,
      fileOffset: home === undefined ? 0 : value - home.address + home.offset,
    };
  }).filter(({ name }) => name !== '');
}

function readSections(file: Buffer): Section[] {
  const [start, entryBytes, count] = [
    Number(file.readBigUInt64LE(0x28)),
    file.readUInt16LE(0x3a),
    file.readUInt16LE(0x3c),
  ];
  return Array.from({ length: count }, (_, i) => {
    const at = start + i * entryBytes;
    const long = (offset: number): number => Number(file.readBigUInt64LE(at + offset));
    return {
      type: file.readUInt32LE(at + 4),
      address: long(16),
      offset: long(24),
      size: long(32),
      link: file.readUInt32LE(at + 40),
    };
  });
}

/** Versions by their number in this file: a list of libraries, each with a list of the versions wanted of it. */
function readVersionNeeds(
  file: Buffer,
  section: Section | undefined,
  sections: readonly Section[],
): Map<number, string> {
  const versions = new Map<number, string>();
  if (section === undefined) return versions;
  const names = sections[section.link].offset;
  for (let library = section.offset, next = 1; next !== 0; library += next) {
    let version = library + file.readUInt32LE(library + 8);
    for (let left = file.readUInt16LE(library + 2); left > 0; left--) {
      versions.set(file.readUInt16LE(version + 6), textAt(file, names + file.readUInt32LE(version + 8)));
      version += file.readUInt32LE(version + 12);
    }
    next = file.readUInt32LE(library + 12);
  }
  return versions;
}

function textAt(file: Buffer, start: number): string {
  return file.toString('latin1', start, file.indexOf(0, start));
}
