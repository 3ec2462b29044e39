/**
 * Where zstd frames end: not every runtime's decompressor complains of bytes that are cut off or follow behind.
 * https://datatracker.ietf.org/doc/html/rfc8878#section-3
 */

const magic = 0xfd2fb528;
/** Skippable frames have these and the 15 numbers behind. */
const skippable = 0x184d2a50;

/** What is wrong with the sequence of whole frames that `data` should be; null when nothing is. Decodes no block. */
export function zstdFramesFault(data: Uint8Array): string | null {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let at = 0;
  do {
    if (data.length - at < 4) return "the stream is cut off";
    const number = view.getUint32(at, true);
    const end = number === magic ? frameEnd(data, at + 4) : skippableEnd(view, number, at);
    if (end === -1) return `there is no zstd frame at byte ${at}`;
    if (end > data.length) return "the stream is cut off";
    at = end;
  } while (at < data.length);
  return null;
}

/** Bytes the first frame says it holds; null where it does not say. Not to be trusted. */
export function zstdContentSize(data: Uint8Array): number | null {
  if (data.length < 18) return null;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (view.getUint32(0, true) !== magic) return null;
  const descriptor = data[4] as number;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const at = 5 + (isSingleSegment ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] as number);
  switch (descriptor >> 6) {
    case 0:
      return isSingleSegment ? view.getUint8(at) : null;
    case 1:
      return view.getUint16(at, true) + 256;
    case 2:
      return view.getUint32(at, true);
    default:
      return Number(view.getBigUint64(at, true));
  }
}

function skippableEnd(view: DataView, number: number, at: number): number {
  if (number < skippable || number > skippable + 15) return -1;
  return at + 8 > view.byteLength ? Number.POSITIVE_INFINITY : at + 8 + view.getUint32(at + 4, true);
}

/** The byte behind the frame whose header begins at `at`; beyond the data where it is cut off. */
function frameEnd(data: Uint8Array, at: number): number {
  const descriptor = data[at] ?? 0;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const contentSizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] as number;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number;
  let next = at + 1 + (isSingleSegment ? 0 : 1) + dictionaryBytes + contentSizeBytes;
  for (let isLast = false; !isLast; ) {
    if (next + 3 > data.length) return Number.POSITIVE_INFINITY;
    const header = (data[next] as number) | ((data[next + 1] as number) << 8) | ((data[next + 2] as number) << 16);
    isLast = (header & 1) !== 0;
    const isRepeatedByte = ((header >> 1) & 3) === 1;
    next += 3 + (isRepeatedByte ? 1 : header >> 3);
  }
  return next + ((descriptor & 4) !== 0 ? 4 : 0);
}
