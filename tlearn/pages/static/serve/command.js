// The command that asks for the same answer. Nothing of the page.

const MOST_NAMED = 3;

/** Write the `curl` command for pictures of these names. */
export function curlOf(origin, query, names, needsToken) {
  const fields = names.slice(0, MOST_NAMED).map((name) => `-F ${shell(`pictures=@"${name.replace(/[\\"]/g, "\\$&")}"`)}`);
  const token = needsToken ? ['-H "Authorization: Bearer $TOKEN"'] : [];
  return ["curl", ...token, ...fields, shell(`${origin}/predict${query ? `?${query}` : ""}`)].join(" ");
}

function shell(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
