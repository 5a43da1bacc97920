// The editor's and the engineer's half of the page in Spanish.
export default {
};
