export interface Reading {
  readonly id: string;
  readonly meter: string;
  readonly kind: 'reading';
  readonly value: number;
}

export class Unreadable extends Error {}

/** A reading from a record's data, which is Base64. */
export function reading(data: string): Reading {
  const found = JSON.parse(Buffer.from(data, 'base64').toString('utf8')) as Partial<Reading>;
  if (!found.id || !found.meter || typeof found.value !== 'number') {
    throw new Unreadable(`no reading: ${JSON.stringify(found)}`);
  }
  return found as Reading;
}
