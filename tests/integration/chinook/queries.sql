-- Twenty queries over Chinook: joins, aggregates, views, windows, FTS5, JSON. Each is fully ordered, so
-- that two correct engines print the same bytes.
SELECT count(*), sum(Milliseconds), avg(UnitPrice), max(Bytes) FROM Track;
SELECT ar.Name, count(*) AS Tracks FROM Artist ar JOIN Album al USING (ArtistId) JOIN Track t USING (AlbumId) GROUP BY ar.ArtistId ORDER BY Tracks DESC, ar.Name LIMIT 15;
SELECT g.Name, round(sum(il.UnitPrice * il.Quantity), 2) AS Revenue FROM Genre g JOIN Track t USING (GenreId) JOIN InvoiceLine il USING (TrackId) GROUP BY g.GenreId ORDER BY Revenue DESC, g.Name;
SELECT c.LastName, c.FirstName, e.LastName, count(i.InvoiceId) FROM Customer c LEFT JOIN Employee e ON e.EmployeeId = c.SupportRepId LEFT JOIN Invoice i ON i.CustomerId = c.CustomerId GROUP BY c.CustomerId ORDER BY c.LastName, c.FirstName;
SELECT * FROM SalesByCountry ORDER BY Total DESC, Country;
SELECT al.Title, v.Tracks, v.Milliseconds / 60000.0 FROM AlbumLength v JOIN Album al USING (AlbumId) ORDER BY v.Milliseconds DESC, al.AlbumId LIMIT 20;
SELECT InvoiceId, CustomerId, Total, rank() OVER (PARTITION BY BillingCountry ORDER BY Total DESC, InvoiceId) AS Place, round(sum(Total) OVER (PARTITION BY BillingCountry ORDER BY InvoiceId), 2) AS Running FROM Invoice ORDER BY BillingCountry, InvoiceId LIMIT 100;
SELECT strftime('%Y-%m', InvoiceDate) AS Month, round(sum(Total), 2), round(avg(sum(Total)) OVER (ORDER BY strftime('%Y-%m', InvoiceDate) ROWS BETWEEN 2 PRECEDING AND CURRENT ROW), 4) FROM Invoice GROUP BY Month ORDER BY Month;
SELECT t.TrackId, t.Name FROM TrackSearch s JOIN Track t ON t.TrackId = s.rowid WHERE TrackSearch MATCH 'love NOT jealous' ORDER BY t.TrackId LIMIT 40;
SELECT rowid FROM TrackSearch WHERE TrackSearch MATCH 'Composer: jimmy page' ORDER BY bm25(TrackSearch), rowid LIMIT 25;
SELECT json_extract(Document, '$.country') AS Country, count(*), json_group_array(json_extract(Document, '$.tags[0]')) FROM (SELECT * FROM CustomerDocument ORDER BY CustomerId) GROUP BY Country ORDER BY Country;
SELECT CustomerId, tag.value FROM CustomerDocument, json_each(Document, '$.tags') AS tag WHERE tag.value <> 'none' ORDER BY CustomerId, tag.key;
WITH RECURSIVE chain(EmployeeId, Name, Depth, Path) AS (SELECT EmployeeId, LastName, 0, LastName FROM Employee WHERE ReportsTo IS NULL UNION ALL SELECT e.EmployeeId, e.LastName, Depth + 1, Path || '/' || e.LastName FROM Employee e JOIN chain ON e.ReportsTo = chain.EmployeeId) SELECT Depth, Path FROM chain ORDER BY Path;
SELECT p.Name, count(pt.TrackId), coalesce(sum(t.Milliseconds), 0) FROM Playlist p LEFT JOIN PlaylistTrack pt USING (PlaylistId) LEFT JOIN Track t USING (TrackId) GROUP BY p.PlaylistId ORDER BY p.PlaylistId;
SELECT Name, Milliseconds FROM Track t WHERE Milliseconds > (SELECT 3 * avg(Milliseconds) FROM Track u WHERE u.GenreId = t.GenreId) ORDER BY TrackId;
SELECT m.Name, total(t.Bytes), group_concat(DISTINCT t.GenreId) FROM MediaType m JOIN (SELECT * FROM Track ORDER BY TrackId) t USING (MediaTypeId) GROUP BY m.MediaTypeId ORDER BY m.MediaTypeId;
SELECT a.Name FROM Artist a WHERE NOT EXISTS (SELECT 1 FROM Album WHERE Album.ArtistId = a.ArtistId) ORDER BY a.Name, a.ArtistId LIMIT 30;
SELECT Country FROM Customer EXCEPT SELECT BillingCountry FROM Invoice WHERE Total > 15 ORDER BY Country;
SELECT ntile(4) OVER (ORDER BY Milliseconds, TrackId) AS Quarter, TrackId, lag(TrackId, 1, 0) OVER (ORDER BY Milliseconds, TrackId), first_value(Name) OVER (PARTITION BY GenreId ORDER BY Milliseconds, TrackId) FROM Track ORDER BY Milliseconds, TrackId LIMIT 200 OFFSET 1500;
SELECT CASE WHEN Total < 5 THEN 'small' WHEN Total < 15 THEN 'medium' ELSE 'large' END AS Size, count(*), min(InvoiceDate), max(InvoiceDate), round(sum(Total) FILTER (WHERE BillingState IS NULL), 2) FROM Invoice GROUP BY Size ORDER BY Size;
